"""What shops' tables and their reports promise, seeded and cleaned."""

import csv
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.catalogue.listings import ListingView, Written, recent_listings
from db.session import Database
from etl.clean.feed import open_feed
from etl.clean.feed_tables import PRODUCTS
from etl.clean.not_stated import NOT_STATED
from etl.clean.reading import read_tables
from etl.clean.rejects import Consequence, Tally
from etl.clean.transform import Rules, clean_products
from etl.clean.uuids import Ids
from models.domain.errors import InvalidFeed
from tests.support.feeds import (
    PRODUCT_HEADER,
    image_row,
    listing_id,
    product_row,
    simple_feed,
    to_csv,
    write_feed,
)
from tests.support.pictures import jpeg
from tests.support.seeding import RunSeed
from tests.support.shops import EXPORTS, table, write_photos


def only_listing(database: Database) -> ListingView:
    with database.read() as session:
        (view,) = recent_listings(session, 10, None)
    return view


def all_listings(database: Database) -> dict[str, ListingView]:
    with database.read() as session:
        return {view.listing.title: view for view in recent_listings(session, 100, None)}


def test_words_of_nothing_state_nothing_in_any_column(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    header = [*PRODUCT_HEADER, "latitude", "longitude", "seller"]
    nothing = {"category": "NULL", "product_description": "nan", "price": "NULL", "location": "\\N"}
    rows = [
        [*product_row(1, product_name="A", **nothing), "", "", "NULL"],
        [*product_row(2, product_name="B"), "NULL", "NULL", "sam"],
        [*product_row(3, product_name="C"), "nan", "nan", "None"],
        [*product_row(4, product_name="D", product_description="\\N"), "\\N", "\\N", "\\N"],
        [*product_row(5, product_name="NULL"), "", "", ""],
    ]
    folder = write_feed(tmp_path / "feed", [], [image_row(1, 1)], {1: jpeg(1)})
    (folder / PRODUCTS.name).write_bytes(to_csv([header, *rows]))
    seeded = run_seed(folder, database)
    assert [(one.row, one.reason) for one in seeded.rejects] == [(6, "is empty")]
    found = all_listings(database)
    assert set(found) == set("ABCD")
    bare = found["A"]
    assert (bare.category, bare.listing.description) == (None, "")
    assert (bare.listing.price, bare.listing.location, bare.listing.seller) == (None, None, None)
    assert {view.listing.latitude for view in found.values()} == {None}
    assert [found[title].listing.seller for title in "BCD"] == ["sam", None, None]


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    words=st.lists(st.sampled_from(sorted(NOT_STATED)), min_size=7, max_size=7),
    upper=st.booleans(),
)
def test_any_words_of_nothing_leave_a_listing_with_its_title(
    words: list[str], *, upper: bool
) -> None:
    cells = [word.upper() if upper else word for word in words]
    row = [str(listing_id(1)), "Lamp", *cells, ""]
    index = pd.Index([2], name="row")
    raw = pd.DataFrame([row], index=index, columns=PRODUCTS.frame_columns, dtype=object)
    cleaned = clean_products(raw)
    assert (cleaned.rejects, cleaned.left_out) == ([], [])
    stated = cleaned.frame.iloc[0].dropna().to_dict()
    assert stated == {
        "id": str(listing_id(1)),
        "title": "Lamp",
        "description": "",
        "price_suspect": False,
    }


def test_zeros_behind_the_pence_are_no_thousands(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    prices = ["34.0000", "£12.5000", "1,250.0000", "34.000"]
    products = [product_row(number, price=price) for number, price in enumerate(prices)]
    run_seed(write_feed(tmp_path / "feed", products, [], {}), database)
    found = all_listings(database)
    amounts = [found[f"Lamp {number}"].listing.price for number in range(4)]
    assert amounts == [Decimal("34.00"), Decimal("12.50"), Decimal("1250.00"), Decimal("34.00")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("decimal", [".", ","])
def test_decimals_are_those_of_the_column(
    tmp_path: Path, database: Database, run_seed: RunSeed, delimiter: str, decimal: str
) -> None:
    prices = {"P1": "12{0}50", "P2": "1{1}250{0}00", "P3": "34{0}000", "P4": "7"}
    rows = [
        {"Id": name, "Title": name, "Price": text.format(*(".," if decimal == "." else ",."))}
        for name, text in prices.items()
    ]
    file = tmp_path / "shop.txt"
    file.write_text(table(("Id", "Title", "Price"), rows, delimiter))
    seeded = run_seed(file, database)
    assert seeded.rejects == []
    found = all_listings(database)
    amounts = [str(found[name].listing.price) for name in prices]
    assert amounts == ["12.50", "1250.00", "34.00", "7.00"]


def test_a_currency_beside_the_price_is_that_of_the_price(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    file = tmp_path / "shop.csv"
    file.write_text(
        "id,title,price,currency\na,A,5.00,EUR\nb,B,5.00,usd\nc,C,5.00,\nd,D,5.00,coins\n"
    )
    seeded = run_seed(file, database)
    found = all_listings(database)
    assert [found[name].listing.currency for name in "ABCD"] == ["EUR", "USD", "GBP", None]
    (left_out,) = seeded.rejects
    assert (left_out.id, left_out.field, left_out.consequence) == (
        *("d", "price"),
        Consequence.LEFT_OUT,
    )


def test_ids_of_images_may_be_the_callers_too(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    folder = tmp_path / "feed"
    write_photos(folder / "images")
    products = [product_row(1, id="lamp"), product_row(2, id="chair")]
    images = [["", "lamp-1", "lamp"], ["", "lamp-2.jpg", "lamp"], ["", "../chair", "chair"]]
    (folder / "Products.csv").write_bytes(to_csv([PRODUCT_HEADER, *products]))
    (folder / "Images.csv").write_bytes(to_csv([("", "id", "product_id"), *images]))
    seeded = run_seed(folder, database)
    assert [(one.file, one.row, one.id) for one in seeded.rejects] == [
        ("Images.csv", 4, "../chair")
    ]
    found = all_listings(database)
    assert len(found["Lamp 1"].photos) == 2
    assert found["Lamp 1"].listing.external_id == "lamp"
    assert str(found["Lamp 1"].listing.id) == Ids("feed")("lamp")
    assert run_seed(folder, database).loaded.listings == Written(unchanged=2)


def test_the_own_dialect_keeps_its_ids_and_has_no_others(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    folder = simple_feed(tmp_path / "feed", 3, photos_each=0)
    (folder / "Products.csv").write_bytes(
        to_csv([PRODUCT_HEADER, *map(product_row, (1, 2)), product_row(3, id="three")])
    )
    seeded = run_seed(folder, database)
    assert [one.reason for one in seeded.rejects] == ["is not a UUID"]
    found = all_listings(database)
    assert found["Lamp 1"].listing.id == listing_id(1)
    assert found["Lamp 1"].listing.external_id is None


def test_a_row_whose_id_can_not_be_read_costs_no_other(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    file = tmp_path / "shop.csv"
    file.write_text(f"sku,name\n,A\n{'x' * 201},B\nc,C\nc,D\nNULL,E\ne\n")
    seeded = run_seed(file, database)
    assert [(one.row, one.field, one.reason) for one in seeded.rejects] == [
        (2, "id", "is empty"),
        (3, "id", "has more than 200 characters"),
        (5, "id", "repeats the id of an earlier row"),
        (6, "id", "is empty"),
        (7, "", "its field count is 1, the header's is 2 (line 7)"),
    ]
    assert [one.id for one in seeded.rejects] == ["", "x" * 200, "c", "", "e"]
    assert set(all_listings(database)) == {"C"}
    assert seeded.report.products == Tally(read=6, accepted=1, rejected=5)


def test_a_cleaned_shop_is_the_shop(
    tmp_path: Path, database: Database, run_seed: RunSeed, clean_into: Callable[..., None]
) -> None:
    name, written = EXPORTS["WooCommerce"]
    write_photos(tmp_path / "shop")
    (tmp_path / "shop" / name).write_text(written(""), encoding="utf-8", newline="")
    out = tmp_path / "out"
    clean_into(tmp_path / "shop" / name, out, feed="mine")
    rows = pq.read_table(out / "products.parquet").to_pylist()
    assert [(row["external_id"], row["status"]) for row in rows] == [
        ("71", "active"),
        ("74", "sold"),
    ]
    with (out / "rejects.csv").open(newline="") as file:
        assert [(row["id"], row["consequence"]) for row in csv.DictReader(file)] == [
            ("73", "not offered")
        ]

    first = run_seed(out, database, feed="mine")
    assert first.report.photos == Tally(read=3, accepted=3, rejected=0)
    again = run_seed(tmp_path / "shop" / name, database, feed="mine")
    assert again.loaded.listings == Written(unchanged=2)
    assert all_listings(database)["Chair"].listing.external_id == "74"


def test_a_rejected_row_of_a_cleaned_shop_is_listed(
    tmp_path: Path, database: Database, run_seed: RunSeed, clean_into: Callable[..., None]
) -> None:
    file = tmp_path / "shop.csv"
    file.write_text("sku,name\n" + "".join(f"{one},P{one}\n" for one in "abcd"))
    run_seed(file, database)
    file.write_text(f"sku,name\na,{'x' * 501}\nb,Pb\nc,Pc\n")
    clean_into(file, tmp_path / "out")
    assert run_seed(tmp_path / "out", database, pruning=True).loaded.pruned == 1


def test_a_dry_run_shows_how_columns_were_understood(tmp_path: Path) -> None:
    name, written = EXPORTS["Shopify"]
    (tmp_path / name).write_text(written("https://shop.example/"), encoding="utf-8", newline="")
    (reading,) = read_tables(open_feed(tmp_path, "mine", "EUR"))
    assert reading.file == name
    assert reading.details == {
        "kind": "text",
        "dialect": "Shopify",
        "delimiter": "commas",
        "encoding": "utf-8",
        "ids": "the shop's own, mapped by the feed's name mine",
        "decimals": "point",
        "prices without a currency": "EUR",
    }
    columns = {column.column: column for column in reading.columns}
    assert list(columns) == written("").partition("\r\n")[0].split(",")
    handle, price = columns["Handle"], columns["Variant Price"]
    assert (handle.field, handle.examples) == ("id", ["oak-lamp", "chair"])
    assert (price.field, price.examples) == ("price", ["1250.00 EUR", "30.00 EUR"])
    assert columns["Product Category"].examples == ["Home & Garden / Lighting"]
    assert columns["Type"].advice == "counts where Product Category states nothing"
    assert columns["Image Src"].examples == [
        f"https://shop.example/{name}" for name in ("lamp-2.jpg", "lamp-1.jpg", "chair.jpg")
    ]
    assert columns["Status"].advice == ""
    assert columns["Gift Card"].field is None
    assert columns["Gift Card"].advice == "is not known: it is left out"
    assert columns["Option1 Value"].examples == ["S", "L"]


def test_a_dry_run_shows_both_tables_of_the_own_dialect(tmp_path: Path) -> None:
    products, images = read_tables(open_feed(simple_feed(tmp_path / "feed", 2), "feed"))
    fields = {column.column: column for column in products.columns}
    assert fields["price"].examples == ["5.00 GBP"]
    assert fields["product_name"].examples == ["Lamp 1", "Lamp 2"]
    assert products.details["ids"] == images.details["ids"] == "UUIDs"
    assert [(column.column, column.field) for column in images.columns] == [
        ("id", "id"),
        ("product_id", "product_id"),
    ]


def test_what_is_in_no_field_is_in_the_notes(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    (tmp_path / "shop.csv").write_text("id,title,prise,link,tax,x,y\n1,One,5,Oaks,,,\n")
    notes = run_seed(tmp_path / "shop.csv", database).report.notes
    assert notes == [
        "shop.csv: the column prise is not known: call it price if it is the price.",
        "shop.csv: the columns link, tax are known, but no field of a listing: they are left out.",
        "shop.csv: the columns x, y are not known: they are left out.",
        "shop.csv names no photos: they stay as they are.",
    ]


def test_a_misspelt_column_of_the_own_dialect_is_told(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    folder = simple_feed(tmp_path / "feed", 1)
    header = [*PRODUCT_HEADER, "sellor", "note"]
    (folder / "Products.csv").write_bytes(to_csv([header, [*product_row(1), "sam", "red"]]))
    assert run_seed(folder, database).report.notes == [
        "Products.csv: the columns sellor, note are ignored.",
        "Products.csv: call the column sellor seller if it is meant so.",
    ]
    header[header.index("price")] = "prise"
    (folder / "Products.csv").write_bytes(to_csv([header, [*product_row(1), "sam", "red"]]))
    with pytest.raises(
        InvalidFeed, match=r"lacks the columns price\. .* Is prise meant as price\?"
    ):
        run_seed(folder, database)


def test_photos_outside_the_folder_are_refused_and_cost_no_listing(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    folder = tmp_path / "shop"
    write_photos(folder)
    (tmp_path / "secret.jpg").write_bytes(jpeg(9))
    (folder / "shop.csv").write_text(
        'id,title,images\n1,One,"../secret.jpg,lamp-1.jpg,file:///etc/passwd,gone.jpg"\n'
    )
    seeded = run_seed(folder, database)
    assert seeded.report.photos == Tally(read=4, accepted=1, rejected=3)
    assert {one.id for one in seeded.rejects} == {"../secret.jpg", "file:///etc/passwd", "gone.jpg"}
    assert len(only_listing(database).photos) == 1


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
)
@given(ids=st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=6))
def test_any_ids_give_one_listing_each_or_a_reject(ids: list[str]) -> None:
    rules = Rules(ids=Ids("shop"))
    made = [rules.ids.listed(text) for text in ids]
    externals = [rules.ids.external(text) for text in ids]
    assert [one is None for one in made] == [one is None for one in externals]
    by_external = dict(zip(externals, made, strict=True))
    assert len(set(by_external.values())) == len(by_external)
    assert [rules.ids.listed(one) for one in externals if one] == [one for one in made if one]
