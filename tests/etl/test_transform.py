from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

import pandas as pd
import pytest

from etl.extract import IMAGE_COLUMNS, PRODUCT_COLUMNS
from etl.transform import clean_images, clean_products
from tests.support.feeds import PRODUCT_HEADER, listing_id, photo_id, product_row


def raw_products(*changes: Mapping[str, str]) -> pd.DataFrame:
    """Raw products 1, 2, …, with some fields changed; the first is row 2."""
    rows = [
        dict(zip(PRODUCT_HEADER, product_row(number, **fields), strict=True))
        for number, fields in enumerate(changes, start=1)
    ]
    return frame(rows, PRODUCT_COLUMNS)


def raw_images(*rows: tuple[str, str]) -> pd.DataFrame:
    return frame([dict(zip(IMAGE_COLUMNS, row, strict=True)) for row in rows], IMAGE_COLUMNS)


def frame(rows: list[dict[str, str]], columns: tuple[str, ...]) -> pd.DataFrame:
    index = pd.RangeIndex(2, len(rows) + 2)
    return pd.DataFrame(rows, columns=list(columns), index=index, dtype=object)


@pytest.mark.parametrize(
    ("field", "written", "value"),
    [
        ("id", " 00000000-0000-4000-8000-00000000ABCD\r", UUID(int=0x4000_8000_0000_0000_ABCD)),
        ("product_name", "Sofa 🛋️\r | in Hull | Gumtree", "Sofa 🛋️"),
        ("product_description", "", ""),
        ("product_description", "One.\rTwo.", "One.\nTwo."),
        ("category", "Tops / T-Shirts", "Tops / T-Shirts"),
        ("category", "  Tops  /  T-Shirts ", "Tops / T-Shirts"),
        ("category", "Tops /T-Shirts", "Tops / T-Shirts"),
        ("category", "Tops / ", "Tops"),
        ("category", "Tops / / Vests", "Tops / Vests"),
        ("category", "TV/DVD & More", "TV/DVD & More"),
        (
            "category",
            "Clothes, Footwear & Accessories / Women's",
            "Clothes, Footwear & Accessories / Women's",
        ),
        ("category", "", None),
        ("category", " / ", None),
        ("category", "N/A", None),
        ("price", "N/A", None),
        ("price", "£1,250.00\r", (Decimal("1250.00"), "GBP")),
        ("price", "Free", (Decimal("0.00"), "GBP")),
        ("location", " Poole,\tDorset ", "Poole, Dorset"),
        ("location", "", None),
        ("location", "n/a", None),
    ],
)
def test_cells_become_values(field: str, written: str, value: object) -> None:
    cleaned = clean_products(raw_products({field: written}))
    assert cleaned.rejects == []
    assert cleaned.frame[field].tolist() == [value]


@pytest.mark.parametrize(
    ("field", "written", "reason"),
    [
        ("id", "", "not a UUID"),
        ("id", "12345", "not a UUID"),
        ("id", "{00000000-0000-4000-8000-000000000001}", "not a UUID"),
        ("id", "../../../../etc/passwd", "not a UUID"),
        ("product_name", "", "empty"),
        ("product_name", " \x00\u200b", "empty"),
        ("product_name", " | in Poole, Dorset | Gumtree", "empty"),
        ("category", "x" * 201, "more than 200 characters"),
        ("category", " / ".join(["x" * 100] * 11), "or too many"),
        ("price", "-£1.00", "negative"),
        ("price", "make an offer", "not a price"),
        ("price", "£1234567890123", "more than 12 digits"),
    ],
)
def test_a_cell_that_is_no_value_rejects_its_row_only(
    field: str, written: str, reason: str
) -> None:
    cleaned = clean_products(raw_products({}, {field: written}, {}))
    assert cleaned.frame["id"].tolist() == [listing_id(1), listing_id(3)]
    (reject,) = cleaned.rejects
    assert (reject.file, reject.row, reject.field) == ("Products.csv", 3, field)
    assert reason in reject.reason
    assert reject.id == (written if field == "id" else str(listing_id(2)))


def test_a_row_is_rejected_once_for_the_first_of_its_faults() -> None:
    cleaned = clean_products(raw_products({"id": "?", "product_name": "", "price": "?"}))
    assert [(reject.row, reject.field) for reject in cleaned.rejects] == [(2, "id")]


def test_an_endless_id_is_shortened_in_the_report() -> None:
    (reject,) = clean_products(raw_products({"id": "x" * 10_000})).rejects
    assert reject.id == "x" * 80


def test_the_first_usable_row_of_an_id_stays() -> None:
    same = str(listing_id(7))
    cleaned = clean_products(
        raw_products(
            {"id": same, "price": "?"},
            {"id": same, "product_name": "Kept"},
            {"id": same.upper(), "product_name": "Repeated"},
        )
    )
    assert cleaned.frame["product_name"].tolist() == ["Kept"]
    assert [(reject.row, reject.field) for reject in cleaned.rejects] == [(2, "price"), (4, "id")]


def test_the_given_frame_is_left_as_it_is() -> None:
    raw = raw_products({"price": "?"}, {})
    before = raw.copy(deep=True)
    clean_products(raw)
    pd.testing.assert_frame_equal(raw, before)


def test_images_are_kept_with_their_product_and_their_file() -> None:
    products = clean_products(raw_products({}, {"price": "?"})).frame
    spelled = str(photo_id(6)).upper().replace("9", "A")
    cleaned = clean_images(
        raw_images(
            (str(photo_id(1)), str(listing_id(1))),
            ("photo", str(listing_id(1))),
            (str(photo_id(2)), "product"),
            (str(photo_id(3)), str(listing_id(2))),
            (str(photo_id(4)), str(listing_id(99))),
            (str(photo_id(1)), str(listing_id(1))),
            (f" {spelled}\r", str(listing_id(1)).upper()),
        ),
        products,
    )
    assert cleaned.frame["file"].tolist() == [f"{photo_id(1)}.jpg", f"{spelled}.jpg"]
    assert cleaned.frame["product_id"].tolist() == [listing_id(1)] * 2
    assert [(reject.row, reject.field, reject.reason) for reject in cleaned.rejects] == [
        (3, "id", "is not a UUID"),
        (4, "product_id", "is not a UUID"),
        (5, "product_id", "is not the id of a usable product"),
        (6, "product_id", "is not the id of a usable product"),
        (7, "id", "repeats the id of an earlier row"),
    ]


def test_tables_without_rows_are_clean() -> None:
    products = clean_products(raw_products())
    images = clean_images(raw_images(), products.frame)
    assert (len(products.frame), len(images.frame)) == (0, 0)
    assert products.rejects + images.rejects == []
