"""The listings of results, as they are in the database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from db.catalogue.listing_photos import photo_hashes
from db.catalogue.listings import ListingView, views_of
from models.domain.job_results import FoundListing
from models.domain.types import ListingMatch, MatchLabel

SIMILARITY_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Details:
    """Listings that were found, by id, and the SHA-256 of the photos that they were found by."""

    views: Mapping[UUID, ListingView]
    hashes: Mapping[int, str]

    @classmethod
    def of(cls, session: Session, found: Iterable[ListingMatch]) -> "Details":
        """Read what is needed to show them; those deleted meanwhile are not there."""
        matches = list(found)
        return cls(
            views_of(session, {match.listing_id for match in matches}),
            photo_hashes(session, {match.photo_id for match in matches}),
        )

    def shown(
        self, found: Sequence[ListingMatch], labels: Sequence[MatchLabel] | None = None
    ) -> tuple[FoundListing, ...]:
        """The listings found, in their order, with their labels; without those not there."""
        return tuple(
            FoundListing(
                listing_id=match.listing_id,
                title=view.listing.title,
                price=view.listing.price,
                currency=view.listing.currency,
                category=view.category,
                location=view.listing.location,
                photo=self.hashes[match.photo_id],
                similarity=round(match.similarity, SIMILARITY_DECIMALS),
                match=label,
            )
            for match, label in zip(found, labels or (None,) * len(found), strict=True)
            if (view := self.views.get(match.listing_id)) is not None
        )


def surest(found: Iterable[FoundListing]) -> MatchLabel | None:
    """The surest of the labels; None where there is none."""
    given = {one.match for one in found}
    return next((label for label in MatchLabel if label in given), None)
