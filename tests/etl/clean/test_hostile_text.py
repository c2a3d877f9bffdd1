"""The time that a cell takes grows with its length, not with the square of it."""

from collections.abc import Callable
from contextlib import suppress
from time import thread_time

import pandas as pd
import pytest

from etl.clean.feed_tables import PRODUCTS
from etl.clean.prices import parse_price
from etl.clean.titles import clean_title
from etl.clean.transform import clean_products, parse_category, parse_degrees
from etl.clean.uuids import is_id
from models.domain.limits import split_location
from models.domain.text import clean_category, clean_line, clean_text

SHORT, LONG = 5_000, 100_000
# The long text should take 20 times as long as the short one; squared, it would be 400 times.
AT_MOST = 100
# A call that is over sooner is measured as if it took this long: what disturbs it takes as long
# as itself. Even plain copying takes hundreds of times longer, squared, than this allows.
SHORTEST_S = 1e-4

# What measures coverage would be measured with it.
pytestmark = pytest.mark.no_cover

# fmt: off
PIECES = [
    " ", "| ", "|", ",", ", ", "/", " / ", ">", ".", "'", "1", "1,", ",111", "0.", "7e7", "-", "£",
    "\r", "\n\n\u200b", "\u200b", "\u200b ", "\x00", "\u3000", "| Gumtree ", "Gumtree|",
    "| in Hull | Gumtree ", "\u0301\u0323", "\u0f73", "e\u0301\u0323", "\u1100\u1161", "🛋",
]
# fmt: on


def growth(function: Callable[[str], object], text_of: Callable[[int], str]) -> float:
    """How many times the processor time of the short text the long one takes."""

    def seconds(text: str) -> float:
        begun = thread_time()
        with suppress(ValueError):
            function(text)
        return thread_time() - begun

    def fastest(length: int) -> float:
        return max(SHORTEST_S, min(seconds(text_of(length)) for _ in range(3)))

    return fastest(LONG) / fastest(SHORT)


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize(("before", "after"), [("", ""), ("£1", "! Gumtree")])
@pytest.mark.parametrize(
    "function",
    [
        clean_line,
        clean_text,
        clean_title,
        clean_category,
        parse_price,
        parse_category,
        parse_degrees,
        split_location,
        is_id,
    ],
)
def test_a_repeated_piece_costs_the_same_each_time(
    function: Callable[[str], object], before: str, after: str, piece: str
) -> None:
    def text_of(length: int) -> str:
        return before + piece * (length // len(piece)) + after

    assert growth(function, text_of) < AT_MOST


def test_a_price_of_many_digits_costs_no_more_than_other_cells() -> None:
    def clean(digits: str) -> None:
        # Enough rows that their digits outweigh what a frame costs by itself.
        cells = dict.fromkeys(PRODUCTS.frame_columns, "")
        rows = [cells | {"price": f"£{row}{digits}"} for row in range(20)]
        index = pd.RangeIndex(2, 22, name="row")
        clean_products(pd.DataFrame(rows, index, PRODUCTS.frame_columns, dtype=object))

    assert growth(clean, lambda length: "7" * length) < AT_MOST
