"""The listings of results, as they are in the database."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypedDict, overload
from uuid import UUID

from sqlalchemy.orm import Session

from db.catalogue.listing_photos import photo_hashes
from db.catalogue.listings import ListingView, views_of
from models.domain.job_results.listings import SimilarListing
from models.domain.job_results.searches import FoundListing
from models.domain.searches.attributes import AttributeValue
from models.domain.searches.options import RankPart
from models.domain.types import ListingMatch, MatchLabel

SIMILARITY_DECIMALS = 6


class ShownFields(TypedDict):
    """The fields of `ShownListing`."""

    listing_id: UUID
    title: str
    price: Decimal | None
    currency: str | None
    category: str | None
    location: str | None
    attributes: dict[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class Found:
    """A listing that was found, and the photo that it is shown by; see `FoundListing`."""

    listing_id: UUID
    photo_id: int | None
    similarity: float | None
    score: float | None = None
    reasons: Mapping[RankPart, float] | None = None
    match: MatchLabel | None = None


@dataclass(frozen=True, slots=True)
class Details:
    """Listings that were found, by id, and the SHA-256 of the photos that they were found by."""

    views: Mapping[UUID, ListingView]
    hashes: Mapping[int, str]

    @classmethod
    def of(cls, session: Session, found: Iterable[Found | ListingMatch]) -> "Details":
        """Read what is needed to show them; those deleted meanwhile are not there."""
        listings = list(found)
        photos = {one.photo_id for one in listings if one.photo_id is not None}
        return cls.of_ids(session, {one.listing_id for one in listings}, photos)

    @classmethod
    def of_ids(
        cls, session: Session, listing_ids: Collection[UUID], photo_ids: Collection[int]
    ) -> "Details":
        """The same of listings and photos by their ids."""
        return cls(views_of(session, listing_ids), photo_hashes(session, photo_ids))

    def shown(self, found: Iterable[Found]) -> tuple[FoundListing, ...]:
        """The listings found, in their order; without those that are not there."""
        return tuple(
            FoundListing(
                **shown,
                photo=None if one.photo_id is None else self.hashes[one.photo_id],
                similarity=rounded(one.similarity),
                score=rounded(one.score),
                reasons=all_rounded(one.reasons),
                match=one.match,
            )
            for one in found
            if (shown := self.fields_of(one.listing_id)) is not None
        )

    def similar(self, found: Iterable[ListingMatch]) -> tuple[SimilarListing, ...]:
        """The same of listings that were found by a photo."""
        return tuple(
            SimilarListing(
                **shown,
                photo=self.hashes[match.photo_id],
                similarity=rounded(match.similarity),
            )
            for match in found
            if (shown := self.fields_of(match.listing_id)) is not None
        )

    def fields_of(self, listing_id: UUID) -> ShownFields | None:
        """What is shown of a listing; None if it is not there."""
        view = self.views.get(listing_id)
        if view is None:
            return None
        listing = view.listing
        return {
            "listing_id": listing_id,
            "title": listing.title,
            "price": listing.price,
            "currency": listing.currency,
            "category": view.category,
            "location": listing.location,
            "attributes": view.attributes,
        }


def surest(found: Iterable[FoundListing]) -> MatchLabel | None:
    """The surest of the labels; None where there is none."""
    given = {one.match for one in found}
    return next((label for label in MatchLabel if label in given), None)


@overload
def all_rounded(reasons: Mapping[RankPart, float]) -> dict[RankPart, float]: ...
@overload
def all_rounded(reasons: Mapping[RankPart, float] | None) -> dict[RankPart, float] | None: ...
def all_rounded(reasons: Mapping[RankPart, float] | None) -> dict[RankPart, float] | None:
    """The parts of a score with the decimals that are shown."""
    return None if reasons is None else {part: rounded(one) for part, one in reasons.items()}


@overload
def rounded(number: float) -> float: ...
@overload
def rounded(number: None) -> None: ...
@overload
def rounded(number: float | None) -> float | None: ...
def rounded(number: float | None) -> float | None:
    """A similarity or a score with the decimals that are shown."""
    return None if number is None else round(number, SIMILARITY_DECIMALS)
