"""The listings that have the words of a search."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from db.text.resolve import resolve
from db.text.search import SCORED, find_texts, text_scores, texts_excluded
from models.columns.passing import Passing
from models.domain.errors import NotReady
from models.domain.filters import ListingFilter
from models.domain.searches.block_cursors import TextMatch
from models.text.languages import TextLanguage
from models.text.query import parse_query
from models.text.resolved import ResolvedQuery

LOOKED_AT: Final = 500
"""The best listings that are ranked by more than their words."""
PAGED: Final = SCORED
"""The best listings that pages of words alone go on to: those that any of its pages has scored, as
their order would not be that of the page before if there were more."""


@dataclass(frozen=True, slots=True)
class StoredWords:
    """What was found in the text index, as `workers.search.blocks.Words` wants it.

    `searched` are the words that the listings have, `left_out` those that they lack.
    """

    best: dict[UUID, TextMatch]
    exact: bool
    searched: ResolvedQuery
    left_out: tuple[str, ...]
    _session: Session
    _query: ResolvedQuery

    def of(self, listing_ids: Collection[UUID]) -> dict[UUID, float]:
        """The scores of those of these listings that have any of the words, and none excluded."""
        return text_scores(self._session, self._query, listing_ids)

    def excluded(self, listing_ids: Collection[UUID]) -> set[UUID]:
        """Those of these listings that have what was to be left out."""
        return texts_excluded(self._session, self._query, listing_ids)


def words_of(
    session: Session,
    text: str,
    wanted: ListingFilter,
    excluded: Collection[UUID],
    *,
    language: TextLanguage,
    passing: Passing | None = None,
    limit: int = LOOKED_AT,
) -> StoredWords:
    """The best `limit` listings that have these words and pass the filter, but for `excluded`.

    `passing` are those that pass, where columns have said which. Raises InvalidInput for a text
    without a word, NotReady for a filter by attributes without columns.
    """
    allowed = None
    if passing is not None and wanted.narrows:
        allowed = passing.by_number()
    elif wanted.attributes:
        raise NotReady("The listings have not been read yet whose attributes are asked for.")
    query = resolve(session, parse_query(text), language)
    # Those excluded may be among the best.
    most = limit + len(excluded)
    found = find_texts(session, query, limit=most, wanted=wanted, allowed=allowed)
    best = {
        hit.listing_id: TextMatch(hit.number, hit.score)
        for hit in found.matches
        if hit.listing_id not in excluded
    }
    return StoredWords(best, found.exact, found.searched, found.dropped, session, query)
