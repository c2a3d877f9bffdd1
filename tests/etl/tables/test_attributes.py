"""Columns become attributes: which, by which name, and with values of which kind."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.tables.attributes import AttributeColumns, attributes_in, choose, kinds_of, to_cell
from etl.tables.row_source import VALUES
from models.domain.errors import InvalidFeed
from models.domain.searches.attributes import clean_attributes

COLUMNS = ["id", "title", "Brand", "g:color", "Frame Size", "Warehouse", ""]
USED = {0, 1}


def names(columns: AttributeColumns) -> dict[str, int]:
    return dict(columns.named)


def test_the_usual_columns_become_attributes() -> None:
    assert names(choose(COLUMNS, USED, None)) == {"brand": 2, "color": 3}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["*"], {"brand": 2, "color": 3, "frame_size": 4, "warehouse": 5}),
        (["frame size", "BRAND"], {"frame_size": 4, "brand": 2}),
        (["title"], {"title": 1}),
        ([], {}),
    ],
)
def test_columns_are_chosen(wanted: list[str], expected: dict[str, int]) -> None:
    assert names(choose(COLUMNS, USED, wanted)) == expected


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(InvalidFeed, match=r"names colour, .* no such column: id, title, Brand"):
        choose(COLUMNS, USED, ["colour"])


def test_all_of_too_many_columns_are_refused() -> None:
    with pytest.raises(InvalidFeed, match=r"65 further columns.*--attributes brand,size"):
        choose([f"c{n}" for n in range(65)], (), ["*"])


def read(columns: list[str], *rows: list[str], wanted: list[str] | None = None) -> list[Any]:
    chosen = choose(columns, (), wanted)
    cells = [to_cell(chosen.of(row)) for row in rows]
    kinds = kinds_of(cells)
    return [attributes_in(kinds, cell) for cell in cells]


def test_values_are_of_the_kind_that_all_of_a_column_are() -> None:
    columns = ["size", "weight", "new", "ean", "tags", "material"]
    rows = [
        ["38", "1.5", "yes", "0012345678905", "sale, summer", f"wool{VALUES}silk"],
        ["M", "2", "FALSE", "5012345678900", "winter", "wool"],
        ["", "N/A", "no", "", "", "-"],
    ]
    assert read(columns, *rows, wanted=["*"]) == [
        {
            "size": "38",
            "weight": 1.5,
            "new": True,
            "ean": "0012345678905",
            "tags": ["sale", "summer"],
            "material": ["wool", "silk"],
        },
        {
            "size": "M",
            "weight": 2,
            "new": False,
            "ean": "5012345678900",
            "tags": ["winter"],
            "material": ["wool"],
        },
        {"new": False},
    ]


def test_a_value_of_another_kind_than_the_first_rows_is_text() -> None:
    kinds = kinds_of([to_cell({"size": "38", "new": "yes"})])
    assert attributes_in(kinds, to_cell({"size": "XL", "new": "nearly"})) == {
        "size": "XL",
        "new": "nearly",
    }


@pytest.mark.parametrize(
    ("columns", "row", "expected"),
    [
        (
            ["Option1 Name", "Option1 Value", "Option2 Name", "Option2 Value"],
            ["Size", "Small", "Colour", "Deep Red"],
            {"size": "Small", "colour": "Deep Red"},
        ),
        (["Option1 Name", "Option1 Value"], ["Title", "Default Title"], {}),
        (
            ["Attribute 1 name", "Attribute 1 value(s)", "Attribute 2 name"],
            ["Size", "S, M, L", "ignored"],
            {"size": ["S", "M", "L"]},
        ),
        (
            ["additional_attributes"],
            ["colour=Red|Blue,size=M,broken,=x"],
            {"colour": ["Red", "Blue"], "size": "M"},
        ),
    ],
)
def test_columns_that_name_attributes(
    columns: list[str], row: list[str], expected: dict[str, Any]
) -> None:
    assert read(columns, row) == [expected]


@given(st.lists(st.lists(st.text(max_size=12), min_size=4, max_size=4), min_size=1, max_size=6))
def test_whatever_cells_hold_becomes_attributes_that_can_be_stored(rows: list[list[str]]) -> None:
    for attributes in read(["size", "tags", "option1_name", "option1_value"], *rows):
        assert clean_attributes(attributes) == attributes
