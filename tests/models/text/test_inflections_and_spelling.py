"""Which words are inflections of each other, and which misspelt."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from models.text.languages import TextLanguage
from models.text.spelling import is_corrigible, least_in_common, mistakes_in, nearest, trigrams
from models.text.stemming import Inflections

WORD = st.text(st.sampled_from("abcde"), min_size=4, max_size=12)


@pytest.mark.parametrize(
    ("language", "word", "others"),
    [
        ("english", "lamp", ["lamps"]),
        ("english", "lamps", ["lamp"]),
        ("english", "happiness", ["happy"]),
        ("english", "running", ["run", "runs"]),
        ("german", "tische", ["tisch", "tischen"]),
        ("french", "chaises", ["chaise"]),
        ("none", "lamp", []),
    ],
)
def test_inflections(language: TextLanguage, word: str, others: list[str]) -> None:
    inflections = Inflections(language)
    found = inflections.of(word, [*others, "other"])
    assert found == others
    beginning = inflections.beginning_of(word)
    assert all(beginning and other.startswith(beginning) for other in others)


@pytest.mark.parametrize("language", get_args(TextLanguage))
def test_every_language_has_a_stemmer(language: TextLanguage) -> None:
    assert Inflections(language).beginning_of("tables") != ""


def test_what_has_digits_has_no_inflections_and_is_not_misspelt() -> None:
    assert Inflections("english").beginning_of("rtx3080s") is None
    assert not is_corrigible("rtx3080")
    assert is_corrigible("table")


def test_nearest() -> None:
    assert nearest("tabel", {"table": 3, "cable": 9}) == "table"
    assert nearest("tabla", {"table": 3, "cable": 9}) == "table"
    assert nearest("cabla", {"table": 3, "cable": 9}) == "cable"
    assert nearest("xable", {"table": 3, "cable": 9}) == "cable"
    assert nearest("chair", {"table": 3}) is None
    assert nearest("refridgerater", {"refrigerator": 1}) == "refrigerator"


@given(WORD, WORD)
def test_words_within_the_mistakes_have_enough_trigrams_in_common(word: str, other: str) -> None:
    if OSA.distance(word, other) <= mistakes_in(word):
        common = set(trigrams(word)) & set(trigrams(other))
        # Repeated trigrams count once: words of few letters may have fewer, by as many.
        repeated = len(word) + 1 - len(trigrams(word))
        assert len(common) + repeated + 1 >= least_in_common(word)
