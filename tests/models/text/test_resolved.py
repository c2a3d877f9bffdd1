"""Scores are between 0 and 1, and what fits better scores higher."""

from hypothesis import given
from hypothesis import strategies as st

from models.text.listing_words import ListingWords
from models.text.resolved import (
    CORRECTED,
    EXACT,
    INFLECTED,
    LONGER,
    ResolvedQuery,
    ResolvedTerm,
)

WORDS = st.lists(st.sampled_from(["oak", "oaks", "table", "red", "old", "x"]), max_size=6).map(
    " ".join
)
FIELDS = st.builds(ListingWords, WORDS, WORDS, WORDS, WORDS)
FORMS = st.dictionaries(
    st.sampled_from(["oak", "oaks", "table", "red"]),
    st.sampled_from([EXACT, INFLECTED, LONGER, CORRECTED]),
    max_size=3,
)
TERM = st.builds(ResolvedTerm, st.just("x"), FORMS, listings=st.integers(0, 10**6)) | st.builds(
    ResolvedTerm,
    st.just("x"),
    phrase=st.lists(st.sampled_from(["oak", "table"]), min_size=2, max_size=3).map(tuple),
)
QUERY = st.builds(
    ResolvedQuery,
    st.lists(TERM, min_size=1, max_size=4).map(tuple),
    st.lists(st.sampled_from([("red",), ("oak", "table")]), max_size=2).map(tuple),
)
OAK = ResolvedTerm("oak", {"oak": EXACT, "oaks": INFLECTED, "oakum": LONGER}, listings=50)
TABLE = ResolvedTerm("table", {"table": EXACT}, listings=5)


def has(text: str, words: tuple[str, ...]) -> bool:
    parts = text.split()
    return any(tuple(parts[n : n + len(words)]) == words for n in range(len(parts)))


@given(QUERY, FIELDS)
def test_a_match_has_every_term_and_nothing_excluded(
    query: ResolvedQuery, words: ListingWords
) -> None:
    wanted = all(
        any(has(text, term.phrase) for text in words)
        if term.phrase
        else any(form in text.split() for text in words for form in term.forms)
        for term in query.terms
    )
    excluded = any(has(text, phrase) for text in words for phrase in query.excluded)
    assert query.is_excluded(words) == excluded
    assert query.is_match(words) == (wanted and not excluded)


@given(QUERY, FIELDS)
def test_a_score_is_over_0_if_any_term_is_there_and_at_most_1(
    query: ResolvedQuery, words: ListingWords
) -> None:
    score = query.score(words)
    assert 0 <= score <= 1
    one = [ResolvedQuery((term,)).is_match(words) for term in query.terms]
    assert (score > 0) == any(one)


def test_what_fits_better_scores_higher() -> None:
    query = ResolvedQuery((OAK, TABLE))
    order = [
        ListingWords("oak table"),
        ListingWords("oak table and much else"),
        ListingWords("oaks table and much else"),
        ListingWords("table", attributes="oak"),
        ListingWords("table", category="oak"),
        ListingWords("table", description="oak"),
        ListingWords("table"),
        ListingWords("oak"),
        ListingWords("", description="oak"),
        ListingWords("chair"),
    ]
    scores = [query.score(words) for words in order]
    assert scores[0] == 1
    assert scores[-1] == 0
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)


def test_a_rarer_term_counts_for_more() -> None:
    rare = ResolvedTerm("table", {"table": EXACT}, listings=9)
    common = ResolvedTerm("oak", {"oak": EXACT}, listings=1_000_000)
    query = ResolvedQuery((rare, common))
    assert query.score(ListingWords("table")) > query.score(ListingWords("oak"))
