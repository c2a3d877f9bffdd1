"""Retrieval: nearest photos from the index, filters from the database."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import merge
from itertools import chain, islice, takewhile
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from models.columns.passing import Passing
from models.domain.filters import ListingFilter
from models.domain.types import ListingMatch, Match
from models.index.photo_index import PhotoIndex
from models.ranking.listings import Catalogue, best_listings
from workers.search.catalogues import GivenCatalogue, catalogue_of

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
NO_PHOTOS: Final = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Page:
    """Which listings are asked for: the first `limit` that pass, or those that come after one.

    With `until`, all up to that place instead. `excluded` listings are never found, `wanted` is the
    filter. `expect` is how many photos are likely to be examined, if not as many as usual.
    """

    limit: int
    after: ListingMatch | None = None
    excluded: Collection[UUID] = ()
    wanted: ListingFilter = ANY_ACTIVE
    until: ListingMatch | None = None
    expect: int | None = None


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
    passing: Passing | None = None,
) -> Retrieved:
    """The listings of a page, nearest first.

    A listing is as near as its nearest photo is to the nearest of the queries. Few photos that pass
    the filter are compared one by one; of more, the index is given their ids. Where most photos
    pass, the index gives photos best first and the database says which pass; when `overfetch` of
    them did not lead to enough listings, the index is given the ids after all. `passing` are the
    listings that pass, where columns have said which.
    """
    after = page.after and with_current_similarity(index, queries, page.after)
    catalogue = catalogue_of(session, page.wanted, passing)
    search = _Search(catalogue, index, queries, replace(page, after=after))
    if page.wanted.narrows:
        photos = catalogue.photos_passing(thresholds.select_up_to)
        if photos is not None:
            return search.among(photos, thresholds.exact_up_to)
    found = search.filtered(thresholds.overfetch)
    if found is None:
        photos = catalogue.photos_passing(EVERYTHING)
        return search.among(NO_PHOTOS if photos is None else photos, thresholds.exact_up_to)
    return found


def retrieve_among(
    index: PhotoIndex,
    queries: Queries,
    page: Page,
    photos: Mapping[UUID, Sequence[int]],
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> Retrieved:
    """The listings of a page, nearest first, of those given with their photos, all of which pass.

    The places of `page` are by similarities that these queries have.
    """
    search = _Search(GivenCatalogue(photos), index, queries, page)
    rows = np.array(sorted({one for shown in photos.values() for one in shown}), np.int64)
    return search.among(rows, thresholds.exact_up_to)


def similarities(
    index: PhotoIndex, queries: Queries, photos: Mapping[UUID, Sequence[int]]
) -> dict[UUID, ListingMatch]:
    """The best photo of each of these listings; of those that have one in the index."""
    rows = np.array(sorted({one for shown in photos.values() for one in shown}), np.int64)
    order = {
        match.photo_id: match for match in _merged(queries, lambda query: index.among(query, rows))
    }
    best: dict[UUID, ListingMatch] = {}
    for listing_id, shown in photos.items():
        found = [order[photo_id] for photo_id in shown if photo_id in order]
        if found:
            match = min(found, key=lambda match: (-match.similarity, match.photo_id))
            best[listing_id] = ListingMatch(listing_id, match.photo_id, match.similarity)
    return best


def nearest_photos(index: PhotoIndex, queries: Queries) -> tuple[Match, ...]:
    """The `LOOKED_AT` nearest photos of all, whatever listings show them."""
    found = _merged(queries, partial(index.matches, expect=EXPECTED))
    return tuple(islice(found, LOOKED_AT))


class _Search:
    """One page, searched for in one index."""

    def __init__(
        self, catalogue: Catalogue, index: PhotoIndex, queries: Queries, page: Page
    ) -> None:
        self._catalogue = catalogue
        self._index = index
        self._queries = queries
        self._page = page
        self._nearest: tuple[Match, ...] = ()

    def among(self, rows: NDArray[np.int64], exact_up_to: int) -> Retrieved:
        """Search among the photos (n,) that pass the filter."""
        # An exact index compares them faster itself.
        if len(rows) <= exact_up_to and not self._index.exact:
            matches = _merged(self._queries, lambda query: self._index.among(query, rows))
            return self._retrieved(self._listings(matches), exact=True)
        expect = self._page.expect or EXPECTED
        only = partial(self._index.only, photo_ids=rows, expect=expect)
        found = self._listings(_merged(self._queries, only))
        return self._retrieved(found, exact=self._index.exact)

    def filtered(self, overfetch: int) -> Retrieved | None:
        """Search among all photos and filter; None if `overfetch` photos were not enough."""
        usual = EXPECTED_TO_FILTER if self._page.wanted.narrows else EXPECTED
        expect = self._page.expect or usual
        matches = _merged(self._queries, partial(self._index.matches, expect=expect))
        self._nearest = tuple(islice(matches, LOOKED_AT))
        found = self._listings(chain(self._nearest, matches), overfetch)
        return None if found is None else self._retrieved(found, exact=self._index.exact)

    def _listings(
        self, matches: Iterator[Match], patience: int | None = None
    ) -> list[ListingMatch] | None:
        page = self._page
        if page.until is not None:
            return self._up_to(page.until, matches)
        return best_listings(
            matches,
            self._catalogue,
            # One more than wanted, which tells whether another page follows.
            page.limit + 1,
            exclude=page.excluded,
            after=page.after,
            patience=patience,
            at_once=page.expect,
        )

    def _up_to(self, until: ListingMatch, matches: Iterator[Match]) -> list[ListingMatch]:
        last = -until.similarity, until.photo_id
        matches = takewhile(lambda match: (-match.similarity, match.photo_id) <= last, matches)
        page = self._page
        found = best_listings(
            matches, self._catalogue, EVERYTHING, exclude=page.excluded, after=page.after
        )
        return [match for match in found or [] if match.place <= until.place]

    def _retrieved(self, found: list[ListingMatch] | None, *, exact: bool) -> Retrieved:
        listings = found or []
        limit = EVERYTHING if self._page.until is not None else self._page.limit
        return Retrieved(listings[:limit], len(listings) > limit, exact, self._nearest)


def with_current_similarity(
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
