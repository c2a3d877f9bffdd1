"""From photos that match to listings in order. Pure: no index, no database."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from models.domain import Match

# Listings have few photos, so that a little over the limit usually suffices in one look-up.
PHOTOS_PER_LISTING = 4


@dataclass(frozen=True, slots=True)
class ListingMatch:
    """A listing found, by the photo of it that matches best."""

    listing_id: UUID
    photo_id: int
    similarity: float


def best_listings(
    matches: Iterator[Match],
    listings_of: Callable[[Collection[int]], Mapping[int, Sequence[UUID]]],
    limit: int,
    exclude: Collection[UUID] = (),
) -> list[ListingMatch]:
    """The first `limit` distinct listings that matching photos lead to, best first.

    `matches` come best first and may be endless: only as many are taken as it needs. A photo that
    `listings_of` knows no listing for is passed over, so that the result is never short of
    listings because some photos are not shown any more.
    """
    best: dict[UUID, ListingMatch] = {}
    while len(best) < limit:
        batch = list(islice(matches, limit * PHOTOS_PER_LISTING))
        if not batch:
            break
        shown = listings_of([match.photo_id for match in batch])
        for match in batch:
            for listing_id in shown.get(match.photo_id, ()):
                if listing_id not in exclude:
                    found = ListingMatch(listing_id, match.photo_id, match.similarity)
                    best.setdefault(listing_id, found)
    return list(best.values())[:limit]
