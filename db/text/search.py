"""Listings by words: those that match a query, best first.

    query = parse_query(text)                                (models.text.query; InvalidInput)
    resolved = resolve(session, query, language)             (db.text.resolve)
    found = find_texts(session, resolved, limit=100)         -> FoundTexts
    scores = text_scores(session, resolved, listing_ids)     -> {listing id: score}
    words = texts_of(session, listing_ids)                   -> {listing id: ListingWords}
    numbers = text_match_numbers(session, found.searched)    -> (numbers, exact)

A listing matches if it has all terms of the query, in whatever fields, and no excluded phrase. If
none does, the commonest terms are left out until one does. Only listings that are not deleted are
indexed. Scores are those of `models.text.resolved`: they depend on the listing and the query only,
and are in (0, 1]. Equal ones are in order of number, newest first.

What a search may cost is bounded: of a query that more than `ALL_READ` listings may match, the
newest `SPAN` numbers are looked through, and of what matches, `SCORED` are scored: first those with
all terms in their title, newest first, then others, newest first. `exact` says whether that left
anything out.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, bindparam, func, select
from sqlalchemy.orm import Session

from db.catalogue.filters import ACTIVE, conditions_of
from db.statements import chunks
from db.tables import Listing, ListingText
from db.text.word_index import BLOCK_BITS, Span, newest_matches
from models.domain.filters import ListingFilter
from models.text.listing_words import ListingWords
from models.text.resolved import ResolvedQuery

SCORED: Final = 1_000
"""Listings whose words are read and scored, or as many as are asked for."""
ALL_READ: Final = 20_000
"""Numbers that are read of a query, in one statement."""
FIRST_SPAN: Final = 1 << 16
SPAN: Final = 1 << 19
"""Numbers that are looked through for words that more listings have, first and altogether."""
DROPPED: Final = 8
"""Terms that are left out, one after the other, until something matches."""

Allowed = NDArray[np.bool_]
"""By a listing's number, whether it may be found; numbers behind its end may not."""


class TextMatch(NamedTuple):
    """A listing that was found."""

    number: int
    listing_id: UUID
    score: float


@dataclass(frozen=True, slots=True)
class FoundTexts:
    """The listings found, best first. `searched` is the query without the terms left out, whose
    texts are `dropped`.
    """

    matches: list[TextMatch]
    exact: bool
    searched: ResolvedQuery
    dropped: tuple[str, ...] = ()


def find_texts(
    session: Session,
    query: ResolvedQuery,
    *,
    limit: int,
    wanted: ListingFilter = ACTIVE,
    allowed: Allowed | None = None,
) -> FoundTexts:
    """The best `limit` listings that match and pass the filter.

    With `allowed`, which listings pass is read from it, and the filter is not asked.
    """
    search = _Search(session, query, max(SCORED, limit), wanted, allowed)
    for searched in _relaxed(query):
        found = search.best(searched, limit)
        if found.matches:
            return found
    return found


def texts_of(session: Session, listing_ids: Collection[UUID]) -> dict[UUID, ListingWords]:
    """The words of those of the listings that are not deleted."""
    return {
        listing_id: ListingWords(*fields)
        for ids in chunks(listing_ids)
        for listing_id, *fields in session.execute(_TEXTS_BY_ID, {"ids": ids})
    }


def text_scores(
    session: Session, query: ResolvedQuery, listing_ids: Collection[UUID]
) -> dict[UUID, float]:
    """The scores of those of the listings that have any term of the query, and nothing excluded."""
    scores = {
        listing_id: query.score(words)
        for listing_id, words in texts_of(session, listing_ids).items()
        if not query.is_excluded(words)
    }
    return {listing_id: score for listing_id, score in scores.items() if score}


def texts_excluded(
    session: Session, query: ResolvedQuery, listing_ids: Collection[UUID]
) -> set[UUID]:
    """Those of the listings that have a phrase which the query excludes."""
    if not query.excluded:
        return set()
    texts = texts_of(session, listing_ids)
    return {listing_id for listing_id, words in texts.items() if query.is_excluded(words)}


def text_match_numbers(
    session: Session, query: ResolvedQuery, limit: int = 1_000_000
) -> tuple[NDArray[np.int64], bool]:
    """The numbers of the newest `limit` listings that match, whatever their status, descending;
    and whether these are all."""
    if not query.upper_bound:
        return np.empty(0, np.int64), True
    numbers = newest_matches(session, query, limit)
    return np.array(numbers, np.int64), len(numbers) < limit


def _relaxed(query: ResolvedQuery) -> Iterator[ResolvedQuery]:
    """The query; then with fewer terms: without those that no listing has, then the commonest."""
    yield query
    known = [term for term in query.terms if term.listings]
    if len(known) < len(query.terms) and known:
        yield replace(query, terms=tuple(known))
    for _ in range(min(DROPPED, len(known) - 1)):
        known.remove(max(known, key=lambda term: term.listings))
        yield replace(query, terms=tuple(known))


class _Search:
    """Finds listings for a query, of which some terms may be left out."""

    def __init__(
        self,
        session: Session,
        query: ResolvedQuery,
        most: int,
        wanted: ListingFilter,
        allowed: Allowed | None,
    ) -> None:
        self._session = session
        self._query = query
        self._most = most
        self._allowed = allowed
        self._conditions = [] if allowed is not None else list(conditions_of(session, wanted))
        # An outer join, as in `db.catalogue.filters`: SQLite's planner may take a status for
        # selective, and scan all listings that have it.
        passes = and_(Listing.number == ListingText.number, *self._conditions)
        self._ids_of = (
            select(ListingText.number, Listing.id)
            .outerjoin(Listing, passes)
            .where(ListingText.number.in_(bindparam("numbers", expanding=True)))
        )
        # Nearly all listings are active: which ones is read of the best ones only.
        self._is_narrow = allowed is not None or wanted != ACTIVE
        self._few = self._all_allowed()

    def best(self, searched: ResolvedQuery, limit: int) -> FoundTexts:
        """The best listings that have the terms of `searched`; scored by the whole query."""
        matches: list[TextMatch] = []
        exact = True
        for is_narrow in dict.fromkeys((self._is_narrow, True)):
            numbers, exact = self._candidates(searched, is_narrow=is_narrow)
            matches = self._ranked(searched, numbers, limit)
            if exact or len(matches) == limit:
                break
        dropped = tuple(term.text for term in self._query.terms if term not in searched.terms)
        return FoundTexts(matches, exact, searched, dropped)

    def _candidates(self, searched: ResolvedQuery, *, is_narrow: bool) -> tuple[list[int], bool]:
        """The numbers of at most `most` listings that match, and whether these are all."""
        if not searched.upper_bound:
            return [], True
        if self._few is not None:
            return self._few, True
        found: dict[int, None] = {}
        for numbers, is_rest in _batches(self._session, searched, self._most, is_narrow=is_narrow):
            new = [number for number in numbers if number not in found]
            found.update(dict.fromkeys(self._passing(new) if is_narrow else new))
            if len(found) >= self._most:
                return list(found)[: self._most], is_rest and len(found) == self._most
        return list(found), is_rest

    def _ranked(self, searched: ResolvedQuery, numbers: list[int], limit: int) -> list[TextMatch]:
        """The best of the listings, in order."""
        ranked: list[tuple[float, int]] = []
        for some in chunks(numbers):
            for number, *fields in self._session.execute(_TEXTS, {"numbers": some}):
                words = ListingWords(*fields)
                # Others were found by the index.
                if self._few is None or searched.is_match(words):
                    ranked.append((self._query.score(words), number))
        ranked.sort(reverse=True)
        matches: list[TextMatch] = []
        for best in chunks(ranked, max(limit, 100)):
            ids = self._ids([number for _, number in best])
            matches += [
                TextMatch(number, ids[number], score) for score, number in best if number in ids
            ]
            if len(matches) >= limit:
                break
        return matches[:limit]

    def _all_allowed(self) -> list[int] | None:
        """All listings that pass, if they are so few that each is compared with the query."""
        if self._allowed is not None:
            few = np.count_nonzero(self._allowed) <= self._most
            return [int(number) for number in np.flatnonzero(self._allowed)] if few else None
        if not self._is_narrow:
            return None
        statement = select(Listing.number).where(*self._conditions).limit(self._most + 1)
        numbers = list(self._session.scalars(statement))
        return numbers if len(numbers) <= self._most else None

    def _passing(self, numbers: list[int]) -> list[int]:
        """Those of the listings that pass, in their order."""
        if self._allowed is not None:
            array = np.array(numbers, np.int64)
            array = array[array < len(self._allowed)]
            return [int(number) for number in array[self._allowed[array]]]
        passing = self._ids(numbers)
        return [number for number in numbers if number in passing]

    def _ids(self, numbers: Sequence[int]) -> dict[int, UUID]:
        """The ids of those of the listings that pass."""
        found: dict[int, UUID] = {}
        for some in chunks(numbers):
            rows = self._session.execute(self._ids_of, {"numbers": some})
            found.update((number, id_) for number, id_ in rows if id_ is not None)
        return found


def _batches(
    session: Session, query: ResolvedQuery, most: int, *, is_narrow: bool
) -> Iterator[tuple[list[int], bool]]:
    """Numbers of listings that match: those that match in their title first, newest first.

    With each batch, whether the batches so far have all that match.
    """
    if query.upper_bound <= ALL_READ:
        numbers = newest_matches(session, query, ALL_READ)
        if len(numbers) > most:
            yield newest_matches(session, query, ALL_READ, in_title=True), False
        yield numbers, True
        return
    limit = ALL_READ if is_narrow else most
    spans, is_all = _spans(session)
    for in_title in (True, False):
        for span in spans:
            numbers = newest_matches(session, query, limit, span, in_title=in_title)
            is_all &= len(numbers) < limit
            yield numbers, is_all and not in_title and span == spans[-1]


def _spans(session: Session) -> tuple[list[Span], bool]:
    """Ranges of numbers, from the newest on, each as large as all before it; and whether they are
    all there are."""
    newest = session.scalar(select(func.max(ListingText.number))) or 0
    spans: list[Span] = []
    high, size = newest, FIRST_SPAN
    while high >= 0 and newest - high < SPAN:
        low = max(0, (high - size + 1) >> BLOCK_BITS << BLOCK_BITS)
        spans.append(Span(low, high))
        high, size = low - 1, newest - low + 1
    return spans, high < 0


# Built once: every search for a text needs them.
_FIELDS = tuple(getattr(ListingText, name) for name in ListingWords._fields)
_TEXTS = select(ListingText.number, *_FIELDS).where(
    ListingText.number.in_(bindparam("numbers", expanding=True))
)
_TEXTS_BY_ID = (
    select(Listing.id, *_FIELDS)
    .join(ListingText, ListingText.number == Listing.number)
    .where(Listing.id.in_(bindparam("ids", expanding=True)))
)
