"""Whole small catalogues, drawn for real."""

import csv
import io
import uuid
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from models.domain.errors import InvalidInput
from models.domain.geo import haversine, haversine_of
from sample.catalogue import CatalogueSummary, draw_catalogue
from sample.sellers import PLACES, draw_seller

ROOTS = {
    "Appliances",
    "Baby & Kids Stuff",
    "Clothes, Footwear & Accessories",
    "Computers & Software",
    "DIY Tools & Materials",
    "Health & Beauty",
    "Home & Garden",
    "Music, Films, Books & Games",
    "Office Furniture & Equipment",
    "Other Goods",
    "Phones, Mobile Phones & Telecoms",
    "Sports, Leisure & Travel",
    "Video Games & Consoles",
}
SEED = 5
LISTINGS = 14


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CatalogueSummary]:
    folder = tmp_path_factory.mktemp("sample") / "catalogue"
    return folder, draw_catalogue(folder, LISTINGS, SEED)


@pytest.fixture(scope="module")
def catalogue(drawn: tuple[Path, CatalogueSummary]) -> Path:
    return drawn[0]


def products(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "Products.csv", lineterminator="\n", keep_default_na=False)


def images(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "Images.csv", lineterminator="\n")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_same_listings_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    draw_catalogue(tmp_path / "one", 3, SEED)
    draw_catalogue(tmp_path / "two", 3, SEED)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_another_seed_draws_other_listings(tmp_path: Path, catalogue: Path) -> None:
    draw_catalogue(tmp_path / "other", 2, SEED + 1)
    assert not set(products(tmp_path / "other").id) & set(products(catalogue).id)


@pytest.mark.parametrize("fewer", [2, 13])
def test_a_listing_does_not_depend_on_how_many_there_are(
    tmp_path: Path, catalogue: Path, fewer: int
) -> None:
    draw_catalogue(tmp_path / "fewer", fewer, SEED)
    less, more = contents(tmp_path / "fewer"), contents(catalogue)
    for table in ("Products.csv", "Images.csv"):
        assert more.pop(table).startswith(less.pop(table))
    assert less.items() <= more.items()
    assert len(products(tmp_path / "fewer")) == fewer


def test_the_summary_and_the_progress_count_what_was_written(
    tmp_path: Path, drawn: tuple[Path, CatalogueSummary]
) -> None:
    folder, summary = drawn
    assert summary == CatalogueSummary(
        listings=len(products(folder)),
        photos=len(list((folder / "images").iterdir())),
        held_out=len(list((folder / "held_out").iterdir())),
    )
    told: list[int] = []
    draw_catalogue(tmp_path / "told", 3, SEED, told.append)
    assert told == [1, 2, 3]


def test_the_tables_speak_the_dialect(catalogue: Path) -> None:
    raw = (catalogue / "Products.csv").read_bytes()
    assert raw.startswith(
        b",id,product_name,category,product_description,price,location,latitude,longitude,seller,"
        b"condition,colour\n0,"
    )
    assert (catalogue / "Images.csv").read_bytes().startswith(b",id,product_id\n0,")
    assert b"\r\n" not in raw
    assert raw.count(b"\n") == LISTINGS + 1
    table = products(catalogue)
    assert len(table) == LISTINGS
    assert table.iloc[:, 0].tolist() == list(range(LISTINGS))
    assert all("\r" in text for text in table.product_description)
    assert (
        not table.drop(columns="product_description")
        .map(lambda cell: "\r" in str(cell))
        .any(axis=None)
    )
    for row in table.itertuples():
        assert str(row.product_name).endswith(f" | in {row.location} | Gumtree")
        assert str(row.condition) in str(row.product_name)
        if row.colour:
            assert str(row.product_name).casefold().startswith(str(row.colour))
    # A parser that takes a bare \r for a line end, as many do, is led astray.
    assert len(list(csv.reader(io.StringIO(raw.decode(), newline="")))) > LISTINGS + 1


def test_every_root_category_takes_its_turn(catalogue: Path) -> None:
    paths = [category.split(" / ") for category in products(catalogue).category]
    assert {path[0] for path in paths} == ROOTS
    assert all(len(path) == 2 and path[1] for path in paths)


def test_ids_are_uuids_and_never_repeat(catalogue: Path) -> None:
    ids = [*products(catalogue).id, *images(catalogue).id]
    assert [str(uuid.UUID(text)) for text in ids] == ids
    assert len(set(ids)) == len(ids)


def test_each_image_row_has_its_file_and_each_file_its_row(catalogue: Path) -> None:
    files = {path.name for path in (catalogue / "images").iterdir()}
    assert files == {f"{image}.jpg" for image in images(catalogue).id}


def test_each_listing_has_one_to_three_photos_and_a_held_out_view(catalogue: Path) -> None:
    ids = set(products(catalogue).id)
    counts = images(catalogue).product_id.value_counts()
    assert set(counts.index) == ids
    assert counts.between(1, 3).all()
    assert {path.stem for path in (catalogue / "held_out").iterdir()} == ids


def test_every_photo_decodes_at_a_phone_pictures_size_and_no_two_are_alike(
    catalogue: Path,
) -> None:
    seen = set()
    for path in catalogue.rglob("*.jpg"):
        with Image.open(path) as photo:
            photo.load()
            assert (photo.format, photo.mode) == ("JPEG", "RGB")
            assert 480 <= max(photo.size) <= 640
            assert min(photo.size) >= 300
        seen.add(path.read_bytes())
    assert len(seen) == len(list(catalogue.rglob("*.jpg")))


@pytest.mark.parametrize("listings", [3, LISTINGS], ids=["alone", "side by side"])
def test_an_interrupted_draw_leaves_nothing(tmp_path: Path, listings: int) -> None:
    def stop(done: int) -> None:
        assert done == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_catalogue(tmp_path / "catalogue", listings, SEED, stop)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_draw_left_behind_is_no_part_of_the_next(tmp_path: Path) -> None:
    (tmp_path / ".catalogue.drawing" / "images").mkdir(parents=True)
    (tmp_path / ".catalogue.drawing" / "images" / "old.jpg").touch()
    draw_catalogue(tmp_path / "catalogue", 1, SEED)
    assert [path.name for path in tmp_path.iterdir()] == ["catalogue"]
    assert not (tmp_path / "catalogue" / "images" / "old.jpg").exists()


def test_nothing_shows_at_the_target_until_all_is_drawn(tmp_path: Path) -> None:
    shown: list[bool] = []
    target = tmp_path / "deep" / "catalogue"
    draw_catalogue(target, 2, SEED, lambda _: shown.append(target.exists()))
    assert shown == [False, False]
    assert target.is_dir()


def test_an_empty_folder_may_be_the_target(tmp_path: Path) -> None:
    draw_catalogue(tmp_path, 1, SEED)
    assert len(products(tmp_path)) == 1


@pytest.mark.parametrize("listings", [0, -3])
def test_fewer_than_one_listing_is_refused(tmp_path: Path, listings: int) -> None:
    with pytest.raises(InvalidInput, match="at least 1 listing"):
        draw_catalogue(tmp_path / "catalogue", listings, SEED)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "occupy",
    [
        lambda target: target.write_text("a file"),
        lambda target: (target / "something").mkdir(parents=True),
    ],
    ids=["file", "full folder"],
)
def test_a_target_that_holds_something_is_refused_and_kept(
    tmp_path: Path, occupy: Callable[[Path], object]
) -> None:
    target = tmp_path / "catalogue"
    occupy(target)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidInput, match="not an empty folder"):
        draw_catalogue(target, 1, SEED)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_seller_sells_more_than_one_item_and_lives_in_one_place() -> None:
    places = ["Leeds, West Yorkshire", "Poole, Dorset"]
    sold = [(place, draw_seller(SEED, index, place)) for index in range(400) for place in places]
    homes = {seller.name: (place, seller) for place, seller in sold}
    assert len(homes) < len(sold) / 2
    assert all(homes[seller.name] == (place, seller) for place, seller in sold)
    for place, seller in homes.values():
        away = haversine(*PLACES[place], seller.latitude, seller.longitude)
        assert away < haversine_of(20)
