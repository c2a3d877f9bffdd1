import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from db.catalogue.listings import delete_listing
from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.errors import InvalidFeed, InvalidInput, NotFound
from models.labels import Level
from tests.support.clock import Clock
from tests.support.commands import invoke
from tests.support.feeds import image_row, listing_id, product_row, write_feed
from tests.support.pictures import jpeg
from workers.commands import labelled_photos as labelled
from workers.commands.labelled_photos import (
    is_cleaned_folder,
    labelled_in_database,
    labelled_in_folder,
)

CATEGORIES = ("Home / Lamps", "Home / Rugs / Wool", "Toys", "Home", "")
LISTINGS = len(CATEGORIES)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A feed of five listings with two photos each, one of which is of two listings.

    It is cleaned into the folder `clean` beside it, and seeded into the data folder `var`.
    """
    base = tmp_path_factory.mktemp("labelled")
    photos = {number: jpeg(number, (64, 48)) for number in range(1, 2 * LISTINGS + 1)}
    photos[4] = photos[1]
    feed = write_feed(
        base / "feed",
        [product_row(n, category=path) for n, path in enumerate(CATEGORIES, start=1)],
        [image_row(number, (number + 1) // 2) for number in photos],
        photos,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MARKETLENS_DATA_DIR", str(base / "var"))
        patch.setenv("MARKETLENS_ENCODER", "hog")
        for name in ("DATABASE_URL", "REDIS_URL", "STORE_URL", "WEIGHTS"):
            patch.delenv(f"MARKETLENS_{name}", raising=False)
        for command in (["clean", feed, base / "clean"], ["seed", base / "clean", "--no-wait"]):
            invoke(*command)
    return base


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the cleaned folder; all else is beside it."""
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy" / "clean"


@pytest.fixture
def catalogue(folder: Path) -> Iterator[tuple[Database, PhotoStore]]:
    """The same, in a database and its photo store."""
    data = folder.parent / "var"
    with closing(Database(f"sqlite:///{data / 'marketlens.db'}")) as database:
        yield database, PhotoStore(str(data / "photos"))


@pytest.mark.parametrize("level", list(Level))
def test_a_folder_and_the_database_seeded_with_it_are_labelled_alike(
    level: Level, folder: Path, catalogue: tuple[Database, PhotoStore]
) -> None:
    of_folder, of_database = (
        labelled_in_folder(folder, level),
        labelled_in_database(*catalogue, level),
    )
    assert of_folder.hashes == of_database.hashes
    assert of_folder.listings == of_database.listings
    assert of_folder.categories == of_database.categories
    assert [of_folder.read(row) for row in range(len(of_folder))] == [
        of_database.read(row) for row in range(len(of_database))
    ]


def test_each_photo_of_each_listing_has_its_category(folder: Path) -> None:
    roots = labelled_in_folder(folder, Level.ROOT)
    assert roots.categories == ("Home",) * 4 + ("Toys",) * 2 + ("Home",) * 2
    assert roots.listings[::2] == tuple(str(listing_id(number)) for number in (1, 2, 3, 4))
    assert roots.hashes[0] == roots.hashes[3]
    subs = labelled_in_folder(folder, Level.SUB)
    # "Home" alone could be lamps or rugs.
    assert subs.categories == ("Home / Lamps",) * 2 + ("Home / Rugs",) * 2 + ("Toys",) * 2


def test_a_deleted_listing_is_not_learned_from(
    catalogue: tuple[Database, PhotoStore], clock: Clock
) -> None:
    database, store = catalogue
    with database.write() as session:
        delete_listing(session, listing_id(3), clock())
    assert "Toys" not in labelled_in_database(database, store, Level.ROOT).categories


def test_every_page_of_the_database_is_read(
    catalogue: tuple[Database, PhotoStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = labelled_in_database(*catalogue, Level.ROOT)
    monkeypatch.setattr(labelled, "LISTINGS_PER_BATCH", 2)
    assert labelled_in_database(*catalogue, Level.ROOT).digest == whole.digest


def test_an_empty_database_has_nothing_to_learn(database: Database, store: PhotoStore) -> None:
    with pytest.raises(InvalidInput, match=r"no photos .* in the database"):
        labelled_in_database(database, store, Level.ROOT)


def test_a_photo_that_could_not_be_used_is_none(folder: Path) -> None:
    path = folder / "images.parquet"
    images = pq.read_table(path)
    rows = images.to_pylist()
    rows[0] |= {"sha256": None, "reason": "damaged"}
    pq.write_table(type(images).from_pylist(rows, images.schema), path)
    assert len(labelled_in_folder(folder, Level.SUB)) == 5


def test_a_photo_that_is_gone_is_named(folder: Path) -> None:
    photos = labelled_in_folder(folder, Level.SUB)
    PhotoStore(str(folder / "photos")).delete(photos.hashes[2])
    with pytest.raises(NotFound, match=photos.hashes[2]):
        photos.read(2)


def test_another_folder_is_refused(folder: Path) -> None:
    assert is_cleaned_folder(folder)
    assert not is_cleaned_folder(folder.parent / "feed")
    with pytest.raises(InvalidFeed, match="not a cleaned feed"):
        labelled_in_folder(folder.parent / "feed", Level.ROOT)


@pytest.mark.parametrize("name", ["products.parquet", "images.parquet"])
def test_a_damaged_folder_is_refused(name: str, folder: Path) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:-50])
    with pytest.raises(InvalidFeed, match="can't be read"):
        labelled_in_folder(folder, Level.ROOT)
