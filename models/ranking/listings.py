"""From matching photos to ranked listings, a page at a time. Pure: no index, no database."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, Protocol
from uuid import UUID

from models.domain.errors import InvalidInput
from models.domain.types import ListingMatch, Match

# Listings have few photos, so that a little over the limit usually suffices in one look-up.
PHOTOS_PER_LISTING: Final = 4
# A limit, because each page reads the matches of all earlier pages.
MAX_DEPTH: Final = 10_000


class Catalogue(Protocol):
    """The listings and photos that a search may find."""

    def listings_of(self, photo_ids: Collection[int]) -> Mapping[int, Sequence[UUID]]:
        """The listings that show each photo and may be found."""
        ...

    def photos_of(self, listing_ids: Collection[UUID]) -> Mapping[UUID, Collection[int]]:
        """The photos that each listing shows."""
        ...


def best_listings(
    matches: Iterator[Match],
    catalogue: Catalogue,
    limit: int,
    *,
    exclude: Collection[UUID] = (),
    after: ListingMatch | None = None,
    patience: int | None = None,
    at_once: int | None = None,
) -> list[ListingMatch] | None:
    """The first `limit` distinct listings of the matching photos, in order of their places.

    With `after`, those that come after it. `matches` are in order of similarity and id, and are
    consumed lazily, until there are enough listings: photos without a listing do not shorten the
    page. None if `patience` photos did not give enough listings. `at_once` is how many are looked
    up first, if not a few for each listing.
    """
    page = _Page(catalogue, exclude, after)
    remaining = matches if after is None else page.after_previous_pages(matches, after)
    step, looked_at = at_once or limit * PHOTOS_PER_LISTING, 0
    while len(page.found) < limit:
        if patience is not None and looked_at >= patience:
            return None
        batch = list(islice(remaining, step))
        if not batch:
            break
        page.add(batch)
        looked_at += len(batch)
        step *= 2
    return page.found[:limit]


class _Page:
    """The listings of one page, as they are found."""

    def __init__(
        self, catalogue: Catalogue, exclude: Collection[UUID], after: ListingMatch | None
    ) -> None:
        self.found: list[ListingMatch] = []
        self._catalogue = catalogue
        self._known = set(exclude)
        self._after = after
        self._passed: set[int] = set()
        if after is not None:
            self._known.add(after.listing_id)

    def after_previous_pages(
        self, matches: Iterator[Match], after: ListingMatch
    ) -> Iterator[Match]:
        """The matches from the previous page's last photo on; those before it are recorded.

        Raises InvalidInput when they are more than `MAX_DEPTH`.
        """
        last = -after.similarity, after.photo_id
        for match in matches:
            if (-match.similarity, match.photo_id) < last:
                self._passed.add(match.photo_id)
                if len(self._passed) > MAX_DEPTH:
                    raise InvalidInput(f"No search goes on beyond {MAX_DEPTH:,} photos.")
            else:
                yield match

    def add(self, batch: Sequence[Match]) -> None:
        """Add the listings of the next photos."""
        listings = self._catalogue.listings_of([match.photo_id for match in batch])
        new: list[ListingMatch] = []
        for match in batch:
            for listing_id in sorted(listings.get(match.photo_id, ())):
                if listing_id not in self._known:
                    self._known.add(listing_id)
                    new.append(ListingMatch(listing_id, match.photo_id, match.similarity))
        self.found += new if self._after is None else self._not_on_previous_pages(new, self._after)

    def _not_on_previous_pages(
        self, new: list[ListingMatch], after: ListingMatch
    ) -> Iterator[ListingMatch]:
        """The listings that no earlier page showed, by this or by another photo."""
        photos = self._catalogue.photos_of([match.listing_id for match in new])
        for match in new:
            shown = photos.get(match.listing_id, ())
            if match.place > after.place and self._passed.isdisjoint(shown):
                yield match
