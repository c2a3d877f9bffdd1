from collections.abc import Mapping
from decimal import Decimal

import pandas as pd
import pytest
from pandera.errors import SchemaError, SchemaErrors

from etl.clean.feed_tables import IMAGES, PRODUCTS
from etl.clean.rejects import Consequence
from etl.clean.schema import CLEAN_PRODUCTS
from etl.clean.transform import (
    Cleaned,
    clean_images,
    clean_products,
    without_orphans,
    without_repeats,
)
from tests.support.feeds import PRODUCT_HEADER, listing_id, photo_id, product_row


def raw_products(*changes: Mapping[str, str]) -> pd.DataFrame:
    """Raw products 1, 2, …, with some fields changed; the first is row 2."""
    rows = [
        {
            "latitude": "",
            "longitude": "",
            "seller": "",
            "attributes": "",
            **dict(zip(PRODUCT_HEADER, product_row(number), strict=True)),
            **fields,
        }
        for number, fields in enumerate(changes, start=1)
    ]
    return frame(rows, PRODUCTS.frame_columns)


def raw_images(*rows: tuple[str, str]) -> pd.DataFrame:
    return frame([dict(zip(IMAGES.columns, row, strict=True)) for row in rows], IMAGES.columns)


def frame(rows: list[dict[str, str]], columns: list[str]) -> pd.DataFrame:
    index = pd.RangeIndex(2, len(rows) + 2, name="row")
    return pd.DataFrame(rows, columns=columns, index=index, dtype=object)


def test_products_have_values_in_their_columns() -> None:
    described = {
        "id": str(listing_id(1)).upper(),
        "price": "£1,250.00",
        "latitude": "53.8",
        "longitude": "-1.55",
        "seller": "sam",
    }
    cleaned = clean_products(
        raw_products(described, {"price": "N/A", "location": "", "category": ""})
    )
    assert cleaned.rejects == []
    assert cleaned.frame.to_dict("index") == {
        2: {
            "id": str(listing_id(1)),
            "title": "Lamp 1",
            "description": "Lamp 1.\nWorks well.",
            "category": "Home & Garden / Lighting",
            "price": Decimal("1250.00"),
            "currency": "GBP",
            "price_suspect": False,
            "location": "Leeds, West Yorkshire",
            "place": "Leeds",
            "county": "West Yorkshire",
            "latitude": 53.8,
            "longitude": -1.55,
            "seller": "sam",
            "attributes": None,
        },
        3: {
            "id": str(listing_id(2)),
            "title": "Lamp 2",
            "description": "Lamp 2.\nWorks well.",
            "category": None,
            "price": None,
            "currency": None,
            "price_suspect": False,
            "location": None,
            "place": None,
            "county": None,
            "latitude": None,
            "longitude": None,
            "seller": None,
            "attributes": None,
        },
    }


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_clean_products_are_as_declared_however_many(rows: int) -> None:
    CLEAN_PRODUCTS.validate(clean_products(raw_products(*[{}] * rows)).frame)
    CLEAN_PRODUCTS.validate(clean_products(raw_products(*[{"id": "?"}] * rows)).frame)


def test_a_row_that_can_not_be_used_is_told_and_costs_no_other() -> None:
    cleaned = clean_products(raw_products({}, {"price": "make an offer"}, {}, {"product_name": ""}))
    assert cleaned.frame["id"].tolist() == [str(listing_id(number)) for number in (1, 2, 3)]
    assert [
        (reject.file, reject.row, reject.id, reject.field, reject.reason)
        for reject in cleaned.rejects
    ] == [("Products.csv", 5, str(listing_id(4)), "product_name", "is empty")]
    assert {type(reject.row) for reject in cleaned.rejects} == {int}


@pytest.mark.parametrize(
    ("fields", "first"),
    [
        ({"id": "?", "product_name": "", "price": "?"}, "id"),
        ({"product_name": "", "price": "?"}, "product_name"),
        ({"price": "-£1", "longitude": "east"}, "longitude"),
        ({"latitude": "1", "longitude": "east"}, "longitude"),
        ({"latitude": "north", "longitude": "1"}, "latitude"),
    ],
)
def test_a_row_is_rejected_once_for_the_first_of_its_faults(
    fields: dict[str, str], first: str
) -> None:
    cleaned = clean_products(raw_products(fields, {}))
    assert [(reject.row, reject.field) for reject in cleaned.rejects] == [(2, first)]
    assert len(cleaned.frame) == 1
    assert cleaned.left_out == []


@pytest.mark.parametrize("price", ["make an offer", "-£1", "£1000000000000", "£5 EUR"])
def test_a_price_that_can_not_be_read_is_left_out_and_told(price: str) -> None:
    cleaned = clean_products(raw_products({}, {"price": price}, {}))
    assert cleaned.rejects == []
    assert cleaned.frame["price"].tolist() == [Decimal("5.00"), None, Decimal("5.00")]
    assert cleaned.frame["currency"].tolist() == ["GBP", None, "GBP"]
    assert cleaned.frame["price_suspect"].tolist() == [False] * 3
    (left_out,) = cleaned.left_out
    assert (left_out.row, left_out.id, left_out.field) == (3, str(listing_id(2)), "price")
    assert left_out.consequence is Consequence.LEFT_OUT


def test_an_endless_id_is_shortened_in_the_report() -> None:
    (reject,) = clean_products(raw_products({"id": "x" * 10_000})).rejects
    assert reject.id == "x" * 200


def test_the_given_frame_is_left_as_it_is() -> None:
    raw = raw_products({"price": "?"}, {})
    before = raw.copy(deep=True)
    clean_products(raw)
    pd.testing.assert_frame_equal(raw, before)


@pytest.mark.parametrize(
    "broken",
    [
        raw_products({}).drop(columns="latitude"),
        raw_products({}).assign(colour=""),
        raw_products({}).assign(price=5.0),
        raw_products({}).assign(price=pd.Series([None], index=[2], dtype=object)),
    ],
    ids=["a column less", "a column more", "numbers", "a cell without text"],
)
def test_what_is_no_raw_table_is_a_mistake_of_the_caller(broken: pd.DataFrame) -> None:
    with pytest.raises((SchemaError, SchemaErrors)):
        clean_products(broken)


def test_the_first_usable_row_of_an_id_stays() -> None:
    same = str(listing_id(7))
    cleaned = clean_products(
        raw_products(
            {"id": same, "longitude": "?"},
            {"id": same, "product_name": "Kept"},
            {"id": same.upper(), "product_name": "Repeated"},
            {"product_name": "Known"},
        )
    )
    cleaned = without_repeats(cleaned, {str(listing_id(4))}, PRODUCTS.name)
    assert cleaned.frame["title"].tolist() == ["Kept"]
    assert [(reject.row, reject.field, reject.reason) for reject in cleaned.rejects] == [
        (2, "longitude", "is not a number of degrees"),
        (4, "id", "repeats the id of an earlier row"),
        (5, "id", "repeats the id of an earlier row"),
    ]
    assert {reject.file for reject in cleaned.rejects} == {"Products.csv"}


def test_images_are_kept_with_their_product_and_their_file() -> None:
    spelled = str(photo_id(6)).upper().replace("9", "A")
    cleaned = clean_images(
        raw_images(
            (str(photo_id(1)), str(listing_id(1))),
            ("photo", str(listing_id(1))),
            (str(photo_id(2)), "product"),
            (str(photo_id(3)), str(listing_id(2))),
            (str(photo_id(1)), str(listing_id(1))),
            (f" {spelled}\v", str(listing_id(1)).upper()),
        )
    )
    cleaned = without_orphans(cleaned, {str(listing_id(1))})
    cleaned = without_repeats(cleaned, set(), IMAGES.name)
    assert cleaned.frame.to_dict("index") == {
        2: {
            "id": str(photo_id(1)),
            "product_id": str(listing_id(1)),
            "file": f"{photo_id(1)}.jpg",
        },
        7: {
            "id": spelled.lower(),
            "product_id": str(listing_id(1)),
            "file": f"{spelled}.jpg",
        },
    }
    assert [
        (reject.file, reject.row, reject.id, reject.field, reject.reason)
        for reject in cleaned.rejects
    ] == [
        ("Images.csv", 3, "photo", "id", "is not a UUID"),
        ("Images.csv", 4, str(photo_id(2)), "product_id", "is not a UUID"),
        ("Images.csv", 5, str(photo_id(3)), "product_id", "is not the id of a usable product"),
        ("Images.csv", 6, str(photo_id(1)), "id", "repeats the id of an earlier row"),
    ]


def test_tables_without_rows_are_clean() -> None:
    products = without_repeats(clean_products(raw_products()), {"x"}, PRODUCTS.name)
    images: Cleaned = without_orphans(clean_images(raw_images()), {"x"})
    assert (len(products.frame), len(images.frame)) == (0, 0)
    assert products.rejects + images.rejects == []
