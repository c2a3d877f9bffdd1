"""A seller's words and the feed's lines."""

import csv
import io
import re
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from sample.article import Article, Kind, Stance
from sample.feed_writer import write_table
from sample.wording import Words, words_for

SPOTTED = Article(Image.new("RGBA", (1, 1)), "red spotted kettle", ("with a water gauge",))


def never(rng: Random) -> Article:
    del rng
    raise AssertionError("wording draws nothing")


KETTLES = Kind("Appliances / Kettles", Stance.STANDING, (5, 1250), never)


@pytest.fixture(scope="module")
def many() -> list[Words]:
    return [words_for(SPOTTED, KETTLES, Random(seed)) for seed in range(400)]


def test_titles_and_descriptions_tell_what_the_item_is(many: list[Words]) -> None:
    for words in many:
        assert re.fullmatch(
            r"Red spotted kettle, [a-z ]+ \| in [A-Z][A-Za-z ]+, [A-Z][A-Za-z ]+ \| Gumtree",
            words.product_name,
        )
        assert words.product_name.endswith(f" | in {words.location} | Gumtree")
        assert "\rWith a water gauge.\r\r" in words.product_description
        assert "\n" not in words.product_description


def test_prices_are_pounds_within_the_kinds_range_and_some_are_missing(many: list[Words]) -> None:
    prices = {words.price for words in many}
    assert "N/A" in prices
    asked = prices - {"N/A"}
    assert all(re.fullmatch(r"£\d{1,3}(,\d{3})*\.\d\d", price) for price in asked)
    assert any("," in price for price in asked)
    pounds = [float(price[1:].replace(",", "")) for price in asked]
    assert min(pounds) >= 5
    assert max(pounds) <= 1250.5


def test_some_descriptions_need_quotes_and_some_do_not(many: list[Words]) -> None:
    quoted = {bool(re.search('[,"]', words.product_description)) for words in many}
    assert quoted == {True, False}


def test_a_field_is_quoted_only_when_it_must_be_and_keeps_its_bare_returns(tmp_path: Path) -> None:
    rows = [("plain", "two\rlines"), ("a, b", 'say "hi"'), ("over\nlines", "")]
    path = tmp_path / "table.csv"
    write_table(path, ("one", "two"), rows)
    assert path.read_bytes() == (
        b',one,two\n0,plain,two\rlines\n1,"a, b","say ""hi"""\n2,"over\nlines",\n'
    )


def test_a_standard_parser_reads_back_what_has_no_bare_returns(tmp_path: Path) -> None:
    rows = [["£1,250.00", 'a "big" one', "line\nend"], ["ünï", "", "x"]]
    path = tmp_path / "table.csv"
    write_table(path, ("a", "b", "c"), rows)
    text = path.read_text(encoding="utf-8")
    assert [row[1:] for row in csv.reader(io.StringIO(text, newline=""))][1:] == rows
