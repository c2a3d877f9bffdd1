"""Whatever is typed is read as words, phrases and exclusions, or refused in words."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.domain.errors import InvalidInput
from models.text.query import MAX_QUERY_CHARACTERS, MAX_QUERY_WORDS, Term, parse_query

HOSTILE = st.text(
    st.sampled_from("ab-\" '*^:()&|!<>{}\\%_\0\t\n“”é東ก็👍\u202e\u0301") | st.characters(),
    max_size=60,
)


def word(text: str, *, is_beginning: bool = False) -> Term:
    return Term((text,), is_beginning=is_beginning)


def phrase(*words: str) -> Term:
    return Term(words, is_exact=True)


@pytest.mark.parametrize(
    ("text", "terms", "excluded"),
    [
        ("oak table ", [word("oak"), word("table")], []),
        ("Oak TAB", [word("oak"), word("tab", is_beginning=True)], []),
        ("oak t", [word("oak"), word("t")], []),
        ("oak table!", [word("oak"), word("table")], []),
        ('"oak table" chair ', [phrase("oak", "table"), word("chair")], []),
        ("“Oak Table” ", [phrase("oak", "table")], []),
        ('"oak table', [phrase("oak", "table")], []),
        ('oak "table"', [word("oak"), phrase("table")], []),
        ("oak -chair ", [word("oak")], [phrase("chair")]),
        ('oak -"for parts" x ', [word("oak"), word("x")], [phrase("for", "parts")]),
        ("-t-shirt oak ", [word("oak")], [phrase("t", "shirt")]),
        ("oak-table - x-large ", [word("oak"), word("table"), word("x"), word("large")], []),
        ("oak oak OAK ", [word("oak")], []),
        ("oak NOT chair OR * ", [word("oak"), word("not"), word("chair"), word("or")], []),
        ("NEAR(oak, 5) title:x ", [word(w) for w in ("near", "oak", "5", "title", "x")], []),
        ("東京塔", [word("東京"), word("京塔")], []),
        ("塔", [word("塔", is_beginning=True)], []),
        ('"東京塔 店"', [Term(("東京", "京塔", "塔", "店"), is_exact=True)], []),
        ("oa\0k ", [word("oak")], []),
    ],
)
def test_queries(text: str, terms: list[Term], excluded: list[Term]) -> None:
    query = parse_query(text)
    assert (list(query.terms), list(query.excluded)) == (terms, excluded)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The text has no word to search for."),
        ("👍 -- !", "The text has no word to search for."),
        ('""', "The text has no word to search for."),
        ("-chair", "The text has only words to leave out: say what to search for, too."),
        ("a" * 501, "A text to search for has at most 500 characters."),
        ("word " * 10_000, "A text to search for has at most 500 characters."),
        (" ".join(map(str, range(65))), "A text to search for has at most 64 words."),
    ],
)
def test_refusals(text: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence.replace(".", r"\.")):
        parse_query(text)


@given(HOSTILE)
@example('"' * 500)
@example("-" * 500)
@example('-"' * 250)
@example("e" + "\u0301" * 499)
@example("a" * MAX_QUERY_CHARACTERS)
def test_every_text_is_read_or_refused(text: str) -> None:
    try:
        query = parse_query(text)
    except InvalidInput:
        return
    words = [word for term in (*query.terms, *query.excluded) for word in term.words]
    assert query.terms
    assert all(words)
    assert len(words) <= MAX_QUERY_WORDS
