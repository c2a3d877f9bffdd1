"""Listings as results show them: as they were when they were found."""

from decimal import Decimal
from uuid import UUID

from pydantic import Field

from models.domain.job_results.base import Part, PhotoName
from models.domain.searches.attributes import AttributeValue


class ShownListing(Part):
    """A listing as it was when it was found."""

    listing_id: UUID
    title: str
    price: Decimal | None
    currency: str | None
    category: str | None
    location: str | None
    # Listings had none in earlier releases.
    attributes: dict[str, AttributeValue] = Field(default_factory=dict)


class SimilarListing(ShownListing):
    """A listing by the one of its photos that is most similar; `similarity` is the cosine."""

    photo: PhotoName
    similarity: float
