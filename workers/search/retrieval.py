"""Retrieval: nearest photos from the index, filters from the database."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import merge
from itertools import chain, islice
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
from models.ranking.listings import best_listings

Queries = Iterable[NDArray[np.float32]]
"""Unit vectors (dimension,): a photo is as similar as to the nearest of them."""

ANY_ACTIVE: Final = ListingFilter()

EXPECTED: Final = 48
EXPECTED_TO_FILTER: Final = 200
"""Photos that a page of default length examines; the same for every page, see `PhotoIndex`."""
LOOKED_AT: Final = 28
"""Photos that show how densely the index is filled around a query, its own photos among them."""
EVERYTHING: Final = 2**40
"""More photos than any catalogue has."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which listings are asked for: the first `limit` that pass, or those that come after one.

    `excluded` listings are never found, `wanted` is the filter.
    """

    limit: int
    after: ListingMatch | None = None
    excluded: Collection[UUID] = ()
    wanted: ListingFilter = ANY_ACTIVE


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The numbers of photos passing a filter at which the search strategy changes.

    Up to `exact_up_to` each is compared; up to `select_up_to` the index is given their ids. Of
    more, `overfetch` of the nearest photos are filtered before the index is given the ids after
    all. The values are measured at a million photos: see docs/decisions/0015.
    """

    exact_up_to: int = 2_000
    select_up_to: int = 50_000
    overfetch: int = 500


DEFAULT_THRESHOLDS: Final = Thresholds()


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A page of listings, whether there are more, and whether any better one can be missing.

    `nearest` are the nearest photos of all, whatever page and filter are asked for: `LOOKED_AT` of
    them, fewer where there are fewer, and none where a filter left few enough to compare each.
    """

    listings: list[ListingMatch]
    more: bool
    exact: bool
    nearest: tuple[Match, ...] = ()


def retrieve(
    session: Session,
    index: PhotoIndex,
    queries: Queries,
    page: Page,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> Retrieved:
    """The listings of a page, nearest first.

    A listing is as near as its nearest photo is to the nearest of the queries. Few photos that pass
    the filter are compared one by one; of more, the index is given their ids. Where most photos
    pass, the index gives photos best first and the database says which pass; when `overfetch` of
    them did not lead to enough listings, the index is given the ids after all.
    """
    after = page.after and _with_current_similarity(index, queries, page.after)
    search = _Search(session, index, queries, replace(page, after=after))
    if page.wanted.narrows:
        passing = photos_passing(session, page.wanted, thresholds.select_up_to)
        if passing is not None:
            return search.among(passing, thresholds.exact_up_to)
    found = search.filtered(thresholds.overfetch)
    if found is None:
        passing = photos_passing(session, page.wanted, EVERYTHING) or []
        return search.among(passing, thresholds.exact_up_to)
    return found


class _Search:
    """One page, searched for in one index."""

    def __init__(self, session: Session, index: PhotoIndex, queries: Queries, page: Page) -> None:
        self._catalogue = _Catalogue(session, page.wanted)
        self._index = index
        self._queries = queries
        self._page = page
        self._nearest: tuple[Match, ...] = ()

    def among(self, passing: Sequence[int], exact_up_to: int) -> Retrieved:
        """Search among the photos that pass the filter."""
        rows = np.array(passing, np.int64)
        # An exact index compares them faster itself.
        if len(rows) <= exact_up_to and not self._index.exact:
            matches = _merged(self._queries, lambda query: self._index.among(query, rows))
            return self._retrieved(self._listings(matches), exact=True)
        only = partial(self._index.only, photo_ids=rows, expect=EXPECTED)
        found = self._listings(_merged(self._queries, only))
        return self._retrieved(found, exact=self._index.exact)

    def filtered(self, overfetch: int) -> Retrieved | None:
        """Search among all photos and filter; None if `overfetch` photos were not enough."""
        expect = EXPECTED_TO_FILTER if self._page.wanted.narrows else EXPECTED
        matches = _merged(self._queries, partial(self._index.matches, expect=expect))
        self._nearest = tuple(islice(matches, LOOKED_AT))
        found = self._listings(chain(self._nearest, matches), overfetch)
        return None if found is None else self._retrieved(found, exact=self._index.exact)

    def _listings(
        self, matches: Iterator[Match], patience: int | None = None
    ) -> list[ListingMatch] | None:
        page = self._page
        return best_listings(
            matches,
            self._catalogue,
            # One more than wanted, which tells whether another page follows.
            page.limit + 1,
            exclude=page.excluded,
            after=page.after,
            patience=patience,
        )

    def _retrieved(self, found: list[ListingMatch] | None, *, exact: bool) -> Retrieved:
        listings = found or []
        limit = self._page.limit
        return Retrieved(listings[:limit], len(listings) > limit, exact, self._nearest)


class _Catalogue:
    """The listings that pass the filter, read from the database."""

    def __init__(self, session: Session, wanted: ListingFilter) -> None:
        self._session = session
        self._wanted = wanted

    def listings_of(self, photo_ids: Collection[int]) -> Mapping[int, Sequence[UUID]]:
        return listings_showing(self._session, photo_ids, self._wanted)

    def photos_of(self, listing_ids: Collection[UUID]) -> Mapping[UUID, Collection[int]]:
        return photo_ids_shown(self._session, listing_ids)


def _with_current_similarity(
    index: PhotoIndex, queries: Queries, after: ListingMatch
) -> ListingMatch:
    """The last listing of the page before, by the vectors that this page is searched with.

    Embedding a query photo again in another batch may change its vector by rounding, and with it
    every similarity.
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
