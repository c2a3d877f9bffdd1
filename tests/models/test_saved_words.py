"""A listing is looked up among the words of saved searches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.errors import InvalidInput
from models.saved_words import SavedWords
from models.text.languages import TextLanguage
from models.text.listing_words import ListingWords, listing_words
from models.text.query import parse_query

WORDS = (
    *("red", "reds", "kettle", "kettles", "die", "dying", "sky", "skies", "happy", "happier"),
    *("café", "x200", "x2001", "猫", "猫木", "木猫木", "enamelled"),
)


def in_listing(*fields: str) -> ListingWords:
    title, description = (*fields, "")[:2]
    return listing_words(title, {}, None, description)


def finds(text: str, listing: ListingWords, language: TextLanguage = "english") -> bool:
    saved = SavedWords(language)
    saved.put(1, text, alone=True)
    return list(saved.found_alone(saved.read(listing))) == [1]


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("kettle", True),
        ("KETTLES red", True),
        ("enamel kettle", True),
        ("red green kettle", False),
        ('"red kettle"', True),
        ('"red kettles"', False),
        ('"kettle red"', False),
        ('"kettle enamelled"', False),
        ("red -kettle", False),
        ("red -kettles", True),
        ('red -"kettle red"', True),
        ("kett", False),
        ("ketle", False),
        ("x20", False),
        ("x200", True),
        ("猫", True),
        ("木", True),
        ("犬", False),
        ("猫木", True),
        ("木猫", False),
    ],
)
def test_what_has_the_words(text: str, is_found: bool) -> None:
    listing = in_listing("Red kettle", "Enamelled, model X200, 小猫木.")
    assert finds(text, listing) is is_found


def test_inflections_are_of_the_language() -> None:
    listing = in_listing("Kettles")
    assert finds("kettle", listing)
    assert not finds("kettle", listing, "none")
    assert finds("kettles", listing, "none")


def test_what_is_removed_or_replaced_is_not_found() -> None:
    saved = SavedWords("english")
    listing = saved.read(in_listing("Red kettle"))
    for number in (1, 2, 3):
        saved.put(number, "red kettle", alone=number < 3)
    assert set(saved.found_alone(listing)) == {1, 2}
    assert saved.is_match(3, listing)
    saved.put(1, "blue kettle", alone=True)
    saved.remove(2)
    saved.remove(4)
    assert list(saved.found_alone(listing)) == []
    saved.remove(1)
    assert not saved.any_alone
    assert 3 in saved


def test_what_has_no_word_is_refused() -> None:
    with pytest.raises(InvalidInput):
        SavedWords("english").put(1, "…", alone=True)


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(WORDS),
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(
            lambda words: f'"{" ".join(words)}"'
        ),
    ),
    min_size=1,
    max_size=3,
)
EXCLUDED = st.lists(st.sampled_from(WORDS), max_size=1).map(lambda words: [f"-{w}" for w in words])
QUERIES = st.builds(lambda some, others: " ".join([*some, *others]), TEXTS, EXCLUDED)
FIELDS = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


@given(
    queries=st.lists(st.tuples(QUERIES, st.booleans()), max_size=12),
    removed=st.sets(st.integers(0, 11)),
    fields=st.tuples(FIELDS, FIELDS),
    language=st.sampled_from(["english", "none"]),
)
def test_a_listing_is_found_by_those_whose_words_it_has(
    queries: list[tuple[str, bool]],
    removed: set[int],
    fields: tuple[str, str],
    language: TextLanguage,
) -> None:
    saved = SavedWords(language)
    for number, (text, alone) in enumerate(queries):
        saved.put(number, text, alone=alone)
    for number in removed:
        saved.remove(number)
    words = in_listing(*fields)
    found = list(saved.found_alone(saved.read(words)))
    assert len(found) == len(set(found))
    assert set(found) == {
        number
        for number, (text, alone) in enumerate(queries)
        if alone and number not in removed and has_words(text, words, language)
    }


def has_words(text: str, words: ListingWords, language: TextLanguage) -> bool:
    """As one search alone reads it, for which no key is asked for first."""
    return SavedWords(language).read(words).answers(parse_query(text))
