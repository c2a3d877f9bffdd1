"""Texts are read as the same words however they are spelt, and cheaply."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.domain.searches.attributes import Attributes
from models.text.listing_words import ListingWords, listing_words
from models.text.normalise import MAX_WORD, fold, query_words, words_of

TEXT = st.text(
    st.sampled_from(
        "abcéÅßİœ'\u2019\u0131-_.,\"=#|:*^&!<>() \u0301\u0308\u3099\u200d東京塔ก็ाฃй\u0438\u0306"
    )
    | st.characters(),
    max_size=30,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Café-Tables, OAK!", ["cafe", "tables", "oak"]),
        ("men's O\u2019Neill 'quoted'", ["mens", "oneill", "quoted"]),
        ("IKEA_shelf ½ ﬁne \uff26\uff35LL", ["ikea", "shelf", "1", "2", "fine", "full"]),
        ("Straße GROẞ Łódź Ørsted İstanbul \u0131spanak", ["strasse", "gross", "lodz", "orsted"]),
        ("Елка ёлка йога", ["елка", "елка", "йога"]),
        ("काठ की कुर्सी", ["काठ", "की", "कुर्सी"]),
        ("東京塔 2020", ["東京", "京塔", "塔", "2020"]),
        ("iPhone手机壳", ["iphone", "手机", "机壳", "壳"]),
        ("โต๊ะ", ["โต", "ต๊", "๊ะ", "ะ"]),
        ("كُتُب كتب", ["كتب", "كتب"]),
        ("e\u0301tage étage", ["etage", "etage"]),
        ("👍🏽 ❤️ --- ", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text, 100)[: len(words)] == words


@given(TEXT)
@example("\u0390\u0345\u1fb4")
@example("\ufdfa")
def test_folded_text_is_folded_and_words_are_nothing_but_letters(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    for word in words_of(text, 50):
        assert word == word.strip() != ""
        assert len(word) <= MAX_WORD
        assert all(unicodedata.category(letter)[0] in "LNM" for letter in word), word
        assert not set(word) & set("'\"=#|:*^&!<>()\\% \t\n\0")


@given(TEXT)
def test_what_is_typed_is_found_in_what_is_stored(text: str) -> None:
    typed = [word for run in query_words(text) for word in run]
    assert set(typed) <= set(words_of(text, 100))


@given(TEXT)
def test_normal_forms_are_the_same_words(text: str) -> None:
    once = words_of(text, 100)
    assert words_of(unicodedata.normalize("NFD", text), 100) == once
    assert words_of(unicodedata.normalize("NFC", text), 100) == once


def test_every_letter_is_folded_for_good() -> None:
    text = " ".join(filter(str.isalpha, map(chr, range(0x3400))))
    assert fold(fold(text)) == fold(text)


def test_ascii_is_read_by_the_same_rule() -> None:
    text = " ".join(f"a{chr(first)}b{chr(last)}C" for first in range(128) for last in (32, 39, 49))
    assert words_of(text, 1_000) == words_of(f"{text} \u2014", 1_000)


def test_a_listing_has_its_words_by_field() -> None:
    attributes: Attributes = {
        "brand": "Acme & Co",
        "new": True,
        "used": False,
        "size": 10,
        "tags": ["A", "b"],
    }
    assert listing_words("An Oak table", attributes, "Home / Tables", "Very\nold.") == ListingWords(
        "an oak table", "acme co new 10 a b", "home tables", "very old"
    )


def test_only_so_many_words_are_read() -> None:
    words = listing_words("a " * 1_000, {}, None, "東" * 10_000)
    assert len(words.title.split()) == 500
    assert len(words.description.split()) == 2_000
