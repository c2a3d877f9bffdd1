"""A feed's columns become attributes of its listings, seeded as they are or cleaned before."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from db.session import Database
from db.tables import Listing
from etl.clean.feed_tables import PRODUCTS
from etl.load.sources import IntakeContext
from models.domain.errors import InvalidFeed
from tests.support.feeds import PRODUCT_HEADER, product_row, simple_feed, to_csv
from tests.support.seeding import RunSeed

FURTHER = ("Brand", "size", "shelf", "new")
ORDER = (Listing.external_id, Listing.id)
ROWS = [("Oaks", "38", "A1", "yes"), ("Elms", "40.5", "", "no"), ("", "40.50", "B2", "")]
USUAL = [{"brand": "Oaks", "size": 38}, {"brand": "Elms", "size": 40.5}, {"size": 40.5}]
EVERY = [
    {"brand": "Oaks", "new": True, "shelf": "A1", "size": 38},
    {"brand": "Elms", "new": False, "size": 40.5},
    {"shelf": "B2", "size": 40.5},
]


def own_feed(folder: Path) -> Path:
    """A pair of tables in the own dialect, with further columns."""
    feed = simple_feed(folder, 3)
    rows = [[*product_row(number), *cells] for number, cells in enumerate(ROWS, start=1)]
    (feed / PRODUCTS.name).write_bytes(to_csv([(*PRODUCT_HEADER, *FURTHER), *rows]))
    return feed


def shop_table(folder: Path) -> Path:
    """A shop's table, with further columns."""
    folder.mkdir()
    rows = [[f"A{number}", "Lamp", *cells] for number, cells in enumerate(ROWS, start=1)]
    (folder / "shop.csv").write_bytes(to_csv([("id", "title", *FURTHER), *rows]))
    return folder / "shop.csv"


def stored(database: Database) -> list[object]:
    with database.read() as session:
        return list(
            session.scalars(select(Listing.attributes).order_by(Listing.external_id, Listing.id))
        )


@pytest.fixture
def feed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    make: Callable[[Path], Path] = request.param
    return make(tmp_path / "feed")


BOTH = pytest.mark.parametrize("feed", [own_feed, shop_table], indirect=True)


@BOTH
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, USUAL),
        (("*",), EVERY),
        (("shelf",), [{"shelf": "A1"}, {}, {"shelf": "B2"}]),
        ((), [{}, {}, {}]),
    ],
)
def test_chosen_columns_become_attributes(
    feed: Path,
    database: Database,
    run_seed: RunSeed,
    intake_context: IntakeContext,
    *,
    wanted: tuple[str, ...] | None,
    expected: list[object],
) -> None:
    run_seed(feed, database, place=replace(intake_context, attributes=wanted))
    assert stored(database) == expected
    again = run_seed(feed, database, place=replace(intake_context, attributes=wanted))
    assert again.loaded.listings.unchanged == len(ROWS)


@BOTH
def test_a_cleaned_feed_has_the_attributes(
    feed: Path,
    tmp_path: Path,
    any_database: Database,
    clean_into: Callable[..., None],
    run_seed: RunSeed,
) -> None:
    clean_into(feed, tmp_path / "clean")
    run_seed(tmp_path / "clean", any_database)
    assert stored(any_database) == USUAL


def test_a_feed_without_further_columns_leaves_attributes_as_they_are(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    feed = own_feed(tmp_path / "feed")
    run_seed(feed, database)
    rows = [product_row(number) for number in (1, 2, 3)]
    (feed / PRODUCTS.name).write_bytes(to_csv([PRODUCT_HEADER, *rows]))
    assert run_seed(feed, database).loaded.listings.unchanged == len(rows)
    assert stored(database) == USUAL


def test_attributes_that_can_not_be_stored_are_left_out_and_told(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    table = tmp_path / "shop.csv"
    table.write_text(f"id,title,brand,size\nA1,Lamp,{'x' * 501},38\nA2,Lamp,Oaks,40\n")
    seeded = run_seed(table, database)
    assert stored(database) == [{}, {"brand": "Oaks", "size": 40}]
    (left_out,) = seeded.rejects
    assert (left_out.row, left_out.field) == (2, "attributes")
    assert "'brand' is over 500 characters" in left_out.reason


@BOTH
def test_a_name_that_no_column_has_is_refused_before_anything_is_stored(
    feed: Path, database: Database, run_seed: RunSeed, intake_context: IntakeContext
) -> None:
    with pytest.raises(InvalidFeed, match=r"--attributes names colour"):
        run_seed(feed, database, place=replace(intake_context, attributes=["colour"]))
    assert stored(database) == []


def test_the_sizes_of_a_products_variants_are_one_attribute(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    (tmp_path / "shopify.csv").write_text(
        "Handle,Title,Vendor,Option1 Name,Option1 Value,Variant Price\n"
        "tee,Tee,Oaks,Size,S,5\ntee,,,,M,5\ntee,,,,L,6\ncap,Cap,Oaks,Title,Default Title,3\n"
    )
    run_seed(tmp_path / "shopify.csv", database)
    assert stored(database) == [{}, {"size": ["S", "M", "L"]}]


def test_attributes_are_a_json_object_in_a_cleaned_feed(
    tmp_path: Path, clean_into: Callable[..., None]
) -> None:
    clean_into(shop_table(tmp_path / "feed"), tmp_path / "clean")
    column = pq.read_table(tmp_path / "clean" / "products.parquet")["attributes"].to_pylist()
    assert list(map(json.loads, column)) == USUAL
