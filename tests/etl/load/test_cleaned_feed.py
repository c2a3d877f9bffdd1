import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from db.catalogue.listings import (
    Written,
    get_listing,
)
from db.session import Database
from db.store.photo_store import PhotoStore
from etl.clean.feed_tables import PRODUCTS
from etl.clean.rejects import Tally
from etl.load.cleaned_feed import CleanedFolder, CleanedWriter
from etl.load.pipeline import run_intake
from etl.load.sources import IntakeContext
from etl.report import IntakeReport
from models.cleaned_feed import PRODUCTS_SCHEMA, read_listing_photos
from models.domain.errors import InvalidFeed
from models.photo_decoding import ACCEPTED_FORMATS
from tests.support.feeds import (
    PRODUCT_HEADER,
    image_row,
    listing_id,
    product_row,
    read_rejects,
    simple_feed,
    to_csv,
    write_feed,
)
from tests.support.pictures import cut_jpeg, jpeg
from tests.support.seeding import RunSeed

CUT = cut_jpeg(2)


def clean(feed: Path, out: Path) -> IntakeReport:
    """Clean a feed into a folder."""
    place = IntakeContext(
        scratch=out / "work",
        ledger=out / "work" / "photos.db",
        rejects=out / "rejects.csv",
        store=PhotoStore(str(out / "photos")),
        max_photo_bytes=1_000_000,
        processes=1,
    )
    return run_intake(
        feed,
        CleanedWriter(out, out / "work"),
        place,
        locate=dict.fromkeys,
        on_progress=lambda stage, done, total: None,  # noqa: ARG005 - shows nothing
    )


def dirty_feed(folder: Path) -> Path:
    return write_feed(
        folder,
        [
            product_row(1, price="£1,234,567.00"),
            product_row(2, location="x" * 501),
            product_row(3, price="N/A", category="", location=""),
        ],
        [image_row(1, 3), image_row(2, 1), image_row(3, 3), image_row(4, 1)],
        {1: jpeg(1), 2: jpeg(2), 3: b"no photo", 4: jpeg(4, (900, 600))},
    )


def test_a_cleaned_feed_is_taken_in_as_the_feed_itself(
    tmp_path: Path, any_database: Database, run_seed: RunSeed
) -> None:
    feed, out = dirty_feed(tmp_path / "feed"), tmp_path / "out"
    report = clean(feed, out)
    assert report.products == Tally(read=3, accepted=2, rejected=1)
    assert report.photos == Tally(read=4, accepted=3, rejected=1)

    seeded = run_seed(out, any_database)
    assert seeded.report.products == Tally(read=2, accepted=2, rejected=0)
    assert seeded.report.photos == Tally(read=4, accepted=3, rejected=1)
    assert (seeded.loaded.photos, seeded.loaded.queued) == (3, 3)

    again = run_seed(feed, any_database)
    assert again.loaded.listings == Written(unchanged=2)
    assert (again.loaded.photos, again.loaded.categories) == (0, 0)


def test_the_files_say_what_was_cleaned(tmp_path: Path) -> None:
    out = tmp_path / "out"
    clean(dirty_feed(tmp_path / "feed"), out)
    first, second = pq.read_table(out / "products.parquet").to_pylist()
    assert first == {
        "id": str(listing_id(1)),
        "title": "Lamp 1",
        "description": "Lamp 1.\nWorks well.",
        "category": "Home & Garden / Lighting",
        "price": Decimal("1234567.00"),
        "currency": "GBP",
        "price_suspect": True,
        "location": "Leeds, West Yorkshire",
        "place": "Leeds",
        "county": "West Yorkshire",
        "latitude": None,
        "longitude": None,
        "seller": None,
        "attributes": None,
    }
    assert [second[name] for name in ("category", "price", "currency", "place")] == [None] * 4
    images = pq.read_table(out / "images.parquet").to_pylist()
    assert [(row["product_id"], row["width"], row["reason"]) for row in images] == [
        (str(listing_id(1)), 200, None),
        (str(listing_id(1)), 512, None),
        (str(listing_id(3)), 200, None),
        (
            str(listing_id(3)),
            None,
            f"The file is not a {ACCEPTED_FORMATS} photo.",
        ),
    ]
    store = PhotoStore(str(out / "photos"))
    assert all(store.has(row["sha256"]) for row in images if row["sha256"])
    assert len(read_rejects(out / "rejects.csv")) == 2


def test_photos_that_lack_some_pixels_are_flagged_on_every_way_in(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    feed, out = tmp_path / "feed", tmp_path / "out"
    write_feed(feed, [product_row(1)], [image_row(1, 1), image_row(2, 1)], {1: jpeg(1), 2: CUT})
    for _ in range(2):  # the second time from the ledger
        assert clean(feed, out).incomplete_photos == 1
    assert pq.read_table(out / "images.parquet")["incomplete"].to_pylist() == [False, True]
    for source in (out, feed):
        assert run_seed(source, database).report.incomplete_photos == 1
        with database.read() as session:
            view = get_listing(session, listing_id(1))
            assert view.incomplete == {view.photos[1]}


def test_a_folder_cleaned_by_an_earlier_release_is_still_taken_in(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    out = tmp_path / "out"
    clean(simple_feed(tmp_path / "feed", 2), out)
    path = out / "images.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["incomplete"]), path)
    assert pq.read_schema(path).metadata == table.schema.metadata
    seeded = run_seed(out, database)
    assert seeded.report.photos == Tally(read=4, accepted=4, rejected=0)
    assert seeded.report.incomplete_photos == 0


def test_a_second_cleaning_decodes_no_photo_again(tmp_path: Path) -> None:
    feed, out = simple_feed(tmp_path / "feed", 3), tmp_path / "out"
    clean(feed, out)
    before = {path: path.read_bytes() for path in out.glob("*.parquet")}
    for photo in (feed / "images").iterdir():
        times = photo.stat().st_atime_ns, photo.stat().st_mtime_ns
        photo.write_bytes(bytes(photo.stat().st_size))
        os.utime(photo, ns=times)
    assert clean(feed, out).photos == Tally(read=6, accepted=6, rejected=0)
    assert {path: path.read_bytes() for path in out.glob("*.parquet")} == before


def test_a_photo_that_is_not_the_cleaned_one_is_rejected(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    out = tmp_path / "out"
    clean(simple_feed(tmp_path / "feed", 2), out)
    spoiled, lost, *_ = sorted((out / "photos").rglob("*.jpg"))
    spoiled.write_bytes(jpeg(99))
    lost.unlink()
    seeded = run_seed(out, database)
    assert seeded.report.photos == Tally(read=4, accepted=2, rejected=2)
    assert {reject.reason for reject in seeded.rejects} == {
        "The photo is not the one that was cleaned.",
        "There is no such photo.",
    }


def test_a_rejected_product_counts_as_listed_when_a_cleaned_feed_prunes(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    feed = simple_feed(tmp_path / "feed", 4, photos_each=0)
    run_seed(feed, database)
    products = [product_row(1), product_row(2, location="x" * 501), product_row(3)]
    (feed / PRODUCTS.name).write_bytes(to_csv([PRODUCT_HEADER, *products]))
    clean(feed, tmp_path / "out")
    assert run_seed(tmp_path / "out", database, pruning=True).loaded.pruned == 1


def test_files_of_two_cleanings_do_not_go_together(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    clean(simple_feed(tmp_path / "one", 3), tmp_path / "out")
    clean(simple_feed(tmp_path / "two", 2), tmp_path / "other")
    (tmp_path / "other" / "products.parquet").replace(tmp_path / "out" / "products.parquet")
    with pytest.raises(InvalidFeed, match="photos of products that are not there"):
        run_seed(tmp_path / "out", database)


def test_a_damaged_file_is_no_cleaned_feed(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    clean(simple_feed(tmp_path / "feed", 1), tmp_path / "out")
    (tmp_path / "out" / "products.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(InvalidFeed, match=r"products.parquet can't be read"):
        run_seed(tmp_path / "out", database)


def test_a_feed_beside_a_cleaned_one_is_not_guessed_at(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    feed = simple_feed(tmp_path / "feed", 1)
    clean(feed, tmp_path / "out")
    (feed / PRODUCTS.name).rename(tmp_path / "out" / PRODUCTS.name)
    with pytest.raises(InvalidFeed, match="which is meant"):
        run_seed(tmp_path / "out", database)


def test_a_file_of_other_columns_is_no_cleaned_feed(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    clean(simple_feed(tmp_path / "feed", 1), tmp_path / "out")
    file = tmp_path / "out" / "products.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["county"]), file)
    with pytest.raises(InvalidFeed, match="clean the feed again"):
        run_seed(tmp_path / "out", database)


@pytest.mark.parametrize("lost", ["before cleaning", "after cleaning"])
def test_photos_that_did_not_come_along_are_left_as_they_are(
    tmp_path: Path, database: Database, run_seed: RunSeed, lost: str
) -> None:
    feed, out = simple_feed(tmp_path / "feed", 2), tmp_path / "out"
    run_seed(feed, database)
    clean(feed, out)
    if lost == "before cleaning":
        (feed / "images").rename(tmp_path / "elsewhere")
        clean(feed, out)
    else:
        (out / "photos").rename(tmp_path / "elsewhere")
    seeded = run_seed(out, database)
    known = 0 if lost == "before cleaning" else 4
    assert seeded.report.photos == Tally(read=known, accepted=0, rejected=known)
    assert seeded.loaded.listings == Written(unchanged=2)
    with database.read() as session:
        assert len(get_listing(session, listing_id(1)).photos) == 2


def test_a_killed_cleaning_leaves_a_whole_cleaned_feed_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two feeds that share nothing, what is in the folder is all of one or not taken for any."""
    feeds = [
        write_feed(
            tmp_path / name,
            [product_row(number), product_row(number + 1, location="x" * 501)],
            [image_row(number, number)],
            {number: jpeg(number)},
        )
        for name, number in (("one", 1), ("two", 11))
    ]
    out = tmp_path / "out"
    whole = []
    for feed in reversed(feeds):
        clean(feed, out)
        whole.append(held(out))
    calls = 0

    def dying(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == dies_at:
                raise KeyboardInterrupt
            return original(*arguments, **named)

        return call

    for name in ("replace", "unlink"):
        monkeypatch.setattr(Path, name, dying(getattr(Path, name)))
    for dies_at in range(1, 50):
        calls = 0
        try:
            clean(feeds[dies_at % 2], out)
        except KeyboardInterrupt:
            assert not CleanedFolder(out).exists() or held(out) in whole
        else:
            break
    assert dies_at > 4
    assert held(out) in whole


def held(out: Path) -> list[set[str]]:
    """The products of each of a cleaned folder's files."""
    return [
        {row["id"] for row in pq.read_table(out / "products.parquet").to_pylist()},
        {row["product_id"] for row in pq.read_table(out / "images.parquet").to_pylist()},
        {reject.id for reject in read_rejects(out / "rejects.csv")},
    ]


def test_text_of_any_spelling_is_cleaned_once_for_all(
    tmp_path: Path, any_database: Database, run_seed: RunSeed
) -> None:
    changes = {
        "category": "Cafe\u0301\xa0>A/B / The\u0301",
        "location": "Orle\u0301ans,\xa0 Loiret",
    }
    feed = write_feed(
        tmp_path / "feed", [product_row(1, **changes)], [image_row(1, 1)], {1: jpeg(1)}
    )
    out = tmp_path / "out"
    clean(feed, out)
    (row,) = pq.read_table(out / "products.parquet").to_pylist()
    assert row["category"] == "Caf\u00e9 / A/B / Th\u00e9"
    assert row["location"] == "Orl\u00e9ans, Loiret"
    run_seed(feed, any_database)
    assert run_seed(out, any_database).loaded.listings == Written(unchanged=1)

    # As a release before the rule could have written it.
    file = out / "products.parquet"
    rewritten = row | changes | {"title": "Lamp\xa0 1", "description": row["description"] + "\xa0"}
    pq.write_table(pa.Table.from_pylist([rewritten], PRODUCTS_SCHEMA), file)
    assert run_seed(out, any_database).loaded.listings == Written(unchanged=1)
    assert [one.category for one in read_listing_photos(out)] == ["Caf\u00e9 / A/B / Th\u00e9"]
