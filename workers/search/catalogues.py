"""What a search may find: by the database, or by columns in memory where there are some."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.categories import category_paths, paths_of
from db.catalogue.filters import categories_under, listings_showing, photos_passing
from db.catalogue.listing_photos import photo_ids_shown
from db.catalogue.ranking_facts import facts_of as stored_facts_of
from models.columns.columns import Columns
from models.columns.facets import facets_of
from models.columns.facts import RankedListings
from models.columns.passing import Passing
from models.columns.passing import passing as passing_listings
from models.domain.filters import ListingFilter
from models.domain.job_results.searches import Facet
from models.domain.searches.facets import FacetRequest
from models.domain.searches.facts import ListingFacts
from models.ranking.listings import Catalogue


class FilteredCatalogue(Catalogue, Protocol):
    """The listings that pass a filter."""

    def photos_passing(self, limit: int) -> NDArray[np.int64] | None:
        """The photos (n,) that they show, ascending; None when there are over `limit`."""
        ...


class StoredCatalogue:
    """The listings that pass, read from the database."""

    def __init__(self, session: Session, wanted: ListingFilter) -> None:
        self._session = session
        self._wanted = wanted

    def photos_passing(self, limit: int) -> NDArray[np.int64] | None:
        """The photos (n,) that they show, ascending; None when there are over `limit`."""
        photos = photos_passing(self._session, self._wanted, limit)
        return None if photos is None else np.array(photos, np.int64)

    def listings_of(self, photo_ids: Collection[int]) -> Mapping[int, Sequence[UUID]]:
        """Those that show each photo."""
        return listings_showing(self._session, photo_ids, self._wanted)

    def photos_of(self, listing_ids: Collection[UUID]) -> Mapping[UUID, Collection[int]]:
        """The photos that each listing shows."""
        return photo_ids_shown(self._session, listing_ids)


class ColumnCatalogue:
    """The listings that pass, by columns that are in step with the session."""

    def __init__(self, session: Session, passing: Passing) -> None:
        self._session = session
        self._passing = passing

    def photos_passing(self, limit: int) -> NDArray[np.int64] | None:
        """The photos (n,) that they show, ascending; None when there are over `limit`."""
        photos = self._passing.photos()
        return None if len(photos) > limit else photos

    def listings_of(self, photo_ids: Collection[int]) -> Mapping[int, Sequence[UUID]]:
        """Those that show each photo."""
        return self._passing.listings_of(photo_ids)

    def photos_of(self, listing_ids: Collection[UUID]) -> Mapping[UUID, Collection[int]]:
        """The photos that each listing shows."""
        return photo_ids_shown(self._session, listing_ids)


class GivenCatalogue:
    """Listings that all pass, with the photos that they show."""

    def __init__(self, photos: Mapping[UUID, Sequence[int]]) -> None:
        self._photos = photos
        self._listings: dict[int, list[UUID]] = {}
        for listing_id, shown in photos.items():
            for photo_id in shown:
                self._listings.setdefault(photo_id, []).append(listing_id)

    def listings_of(self, photo_ids: Collection[int]) -> Mapping[int, Sequence[UUID]]:
        """Those that show each photo."""
        return {one: self._listings[one] for one in photo_ids if one in self._listings}

    def photos_of(self, listing_ids: Collection[UUID]) -> Mapping[UUID, Collection[int]]:
        """The photos that each listing shows."""
        return {one: self._photos[one] for one in listing_ids}


def catalogue_of(
    session: Session, wanted: ListingFilter, passing: Passing | None
) -> FilteredCatalogue:
    """The catalogue of a search; columns pay where there is something to filter by."""
    if passing is None or not wanted.narrows:
        return StoredCatalogue(session, wanted)
    return ColumnCatalogue(session, passing)


def listings_passing(session: Session, columns: Columns, wanted: ListingFilter) -> Passing:
    """The listings that pass a filter; `columns` are in step with `session`."""
    under = None if wanted.category is None else categories_under(session, wanted.category)
    return passing_listings(columns, wanted, under)


def facts_of(
    session: Session,
    columns: Columns | None,
    listing_ids: Iterable[UUID],
    popularity: str | None = None,
) -> dict[UUID, ListingFacts]:
    """What a ranking reads of those of the listings that are there.

    `columns`, if there are some, are in step with `session`; `popularity` names the attribute that
    counts it.
    """
    if columns is None:
        return stored_facts_of(session, listing_ids, popularity)
    listings = RankedListings(columns, list(listing_ids))
    return listings.facts(paths_of(session, listings.categories), popularity)


def count_facets(
    session: Session, found: Passing, requests: Sequence[FacetRequest]
) -> tuple[Facet, ...]:
    """The facets of listings."""
    return facets_of(found, requests, category_paths(session)) if requests else ()
