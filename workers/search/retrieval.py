"""How the listings that a search finds are looked for: the index, the filter, and how they meet."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import merge
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.filters import listings_showing, photos_passing
from db.catalogue.listing_photos import photo_ids_shown
from models.domain.filters import ListingFilter
from models.domain.types import ListingMatch, Match
from models.index.photo_index import PhotoIndex
from models.ranking.pages import best_listings
from workers.indexes.live import FollowingIndex

Queries = Iterable[NDArray[np.float32]]
"""Unit vectors (dimension,): a photo is as similar as to the nearest of them."""

ANY_ACTIVE: Final = ListingFilter()

# Measured at a million photos: see docs/decisions/0015.
EXACT_UP_TO: Final = 2_000
"""Where a filter leaves no more photos than these, each is compared."""
SELECT_UP_TO: Final = 50_000
"""Where it leaves no more than these, the engine is told which may be found."""
OVERFETCH: Final = 500
"""Of more, so many of the nearest photos are looked at before the engine is told all the same."""
EXPECTED: Final = 48
EXPECTED_TO_FILTER: Final = 200
"""Photos that a page of usual length looks at; the same for every page, see `PhotoIndex`."""
EVERYTHING: Final = 2**40
"""More photos than there are."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A page of listings, whether there are more, and whether any better one can be missing."""

    listings: list[ListingMatch]
    more: bool
    exact: bool


def nearest_listings(
    session: Session,
    index: FollowingIndex,
    vectors: Queries,
    limit: int,
    excluded: Collection[UUID],
) -> list[ListingMatch]:
    """The active listings nearest to any of the vectors, nearest first.

    A listing is as near as its nearest photo is to the nearest of the vectors.
    """
    return retrieve(session, index.index, vectors, limit, excluded).listings


def retrieve(
    session: Session,
    index: PhotoIndex,
    queries: Queries,
    limit: int,
    excluded: Collection[UUID] = (),
    *,
    wanted: ListingFilter = ANY_ACTIVE,
    after: ListingMatch | None = None,
    exact_up_to: int = EXACT_UP_TO,
    select_up_to: int = SELECT_UP_TO,
    overfetch: int = OVERFETCH,
) -> Retrieved:
    """The first `limit` listings that pass, in the order of their places, or those behind `after`.

    Few photos that pass are compared, each of them; of some more the index is told which they are.
    Otherwise it gives photos best first and the database says which pass: mostly many do. When
    `overfetch` of them did not lead to enough listings, it is told which pass all the same.
    """
    catalogue = _Catalogue(session, wanted)
    if after is not None:
        after = _as_it_is_now(index, queries, after)

    def page(matches: Iterator[Match], patience: int | None) -> list[ListingMatch] | None:
        # One more than wanted, which tells whether another page follows.
        return best_listings(
            matches, catalogue, limit + 1, exclude=excluded, after=after, patience=patience
        )

    def of(passing: Sequence[int]) -> Retrieved:
        rows = np.array(passing, np.int64)
        # An engine that misses nothing is the faster one at comparing, too.
        if len(rows) <= exact_up_to and not index.exact:
            found = page(_merged(queries, lambda query: index.among(query, rows)), None)
            return _retrieved(found, limit, exact=True)
        search = partial(index.only, photo_ids=rows, expect=EXPECTED)
        return _retrieved(page(_merged(queries, search), None), limit, exact=index.exact)

    if wanted.narrows:
        some = photos_passing(session, wanted, select_up_to)
        if some is not None:
            return of(some)
    expect = EXPECTED_TO_FILTER if wanted.narrows else EXPECTED
    found = page(_merged(queries, partial(index.matches, expect=expect)), overfetch)
    if found is None:
        return of(photos_passing(session, wanted, EVERYTHING) or [])
    return _retrieved(found, limit, exact=index.exact)


class _Catalogue:
    """The listings that pass, as the database knows them."""

    def __init__(self, session: Session, wanted: ListingFilter) -> None:
        self._session = session
        self._wanted = wanted

    def listings_of(self, photo_ids: Collection[int]) -> Mapping[int, Sequence[UUID]]:
        return listings_showing(self._session, photo_ids, self._wanted)

    def photos_of(self, listing_ids: Collection[UUID]) -> Mapping[UUID, Collection[int]]:
        return photo_ids_shown(self._session, listing_ids)


def _as_it_is_now(index: PhotoIndex, queries: Queries, after: ListingMatch) -> ListingMatch:
    """The place of the page before's end, by the vectors that this page is searched with.

    Embedding a photo again, with others, may move its vector by rounding; the photo that the page
    ended with moves alike.
    """
    photo = np.array([after.photo_id], np.int64)
    again = list(_merged(queries, lambda query: index.among(query, photo)))
    return replace(after, similarity=again[0].similarity) if again else after


def _merged(
    queries: Queries, search: Callable[[NDArray[np.float32]], Iterable[Match]]
) -> Iterator[Match]:
    """What is found for any of the queries, each photo once, with the best of its similarities."""
    seen: set[int] = set()
    found = (search(query) for query in queries)
    for match in merge(*found, key=lambda match: (-match.similarity, match.photo_id)):
        if match.photo_id not in seen:
            seen.add(match.photo_id)
            yield match


def _retrieved(found: list[ListingMatch] | None, limit: int, *, exact: bool) -> Retrieved:
    listings = found or []
    return Retrieved(listings[:limit], len(listings) > limit, exact)
