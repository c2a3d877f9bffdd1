"""Listings as stated and shown. Names and shapes of the models are the HTTP contract."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from api.jobs.schemas import EmbedJob
from api.listings.attributes import ATTRIBUTES_EXAMPLE, AttributesIn
from api.listings.photo_references import MAX_PHOTOS, PhotoReference
from api.schemas import LINE, LINES, CategoryPath, PhotoLink, PhotoOut, Price, ShownStatus
from api.uploads.spool import Upload
from db.catalogue.listings import ListingData, ListingView
from db.store.public_connections import MAX_URL
from models.domain.job_results.embeddings import RowError
from models.domain.limits import MAX_DESCRIPTION, MAX_LOCATION, MAX_SELLER, MAX_TITLE
from models.domain.searches.attributes import AttributeValue
from models.domain.types import ListingStatus

EXAMPLE: Final[dict[str, JsonValue]] = {
    "title": "Red enamel kettle",
    "category": "Appliances / Kettles",
    "price": "12.50",
    "currency": "GBP",
    "location": "Leeds, West Yorkshire",
    "latitude": 53.8,
    "longitude": -1.55,
    "seller": "sam-4711",
    "attributes": ATTRIBUTES_EXAMPLE,
}


PhotoName = Annotated[str, Field(max_length=MAX_URL), LINE]


class ListingIn(BaseModel):
    """A listing as its seller states it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": EXAMPLE})

    title: Annotated[str, Field(min_length=1, max_length=MAX_TITLE), LINE]
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION), LINES] = ""
    category: CategoryPath | None = Field(
        default=None,
        description="Path such as `Home & Garden / Lighting`. A slash without spaces is part of a "
        "name: `TV/DVD`.",
    )
    price: Price | None = None
    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$", description="ISO 4217.")
    location: Annotated[str, Field(max_length=MAX_LOCATION), LINE] | None = None
    latitude: float | None = Field(default=None, ge=-90, le=90, description="Degrees of WGS 84.")
    longitude: float | None = Field(
        default=None, ge=-180, le=180, description="Degrees of WGS 84, east positive."
    )
    seller: Annotated[str, Field(max_length=MAX_SELLER), LINE] | None = Field(
        default=None, description="The caller's name for who sells it."
    )
    status: ShownStatus = ListingStatus.ACTIVE
    attributes: AttributesIn = Field(default_factory=dict)

    @model_validator(mode="after")
    def _pairs_are_whole(self) -> Self:
        if (self.price is None) != (self.currency is None):
            raise ValueError("price and currency go together")
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude go together")
        return self

    def to_data(self, listing_id: UUID) -> ListingData:
        """The listing as the database takes it."""
        return ListingData(
            id=listing_id,
            title=self.title,
            description=self.description,
            category=self.category or None,
            price=None if self.price is None else self.price.quantize(Decimal("0.01")),
            currency=self.currency,
            location=self.location or None,
            latitude=self.latitude,
            longitude=self.longitude,
            seller=self.seller or None,
            status=self.status,
            attributes=self.attributes,
        )


class ListingPhotosIn(BaseModel):
    """The photos of a listing."""

    photos: Annotated[list[PhotoReference], Field(fail_fast=True)] = Field(
        min_length=1, max_length=MAX_PHOTOS, description="Its photos, in the order to show them in."
    )


class ListingPartIn(ListingIn):
    """A listing beside the photos that are sent with it."""

    photos: Annotated[list[PhotoReference], Field(fail_fast=True)] = Field(
        default=[],
        max_length=MAX_PHOTOS,
        description="Photos that are not sent, which come before those that are.",
    )


class ListingBodyIn(ListingIn, ListingPhotosIn):
    """A listing whose photos are named and not sent."""

    model_config = ConfigDict(
        json_schema_extra={"example": {**EXAMPLE, "photos": [f"{7:064x}", f"{8:064x}"]}}
    )


class BatchRowIn(ListingIn):
    """One row of a bulk request."""

    id: UUID | None = Field(default=None, description="The caller's id; made here when absent.")
    photos: Annotated[
        list[Annotated[str, Field(max_length=MAX_URL), LINE]], Field(fail_fast=True)
    ] = Field(
        min_length=1,
        max_length=MAX_PHOTOS,
        description="Names of photo parts of the same request, SHA-256 of stored photos, or URLs "
        "where MARKETLENS_PHOTO_URLS is `all`.",
    )


class ListingOut(BaseModel):
    """A listing."""

    id: UUID
    title: str
    description: str
    category: str | None
    price: Decimal | None
    currency: str | None
    location: str | None
    latitude: float | None
    longitude: float | None
    seller: str | None
    external_id: str | None = Field(description="What the feed calls it, if not by its `id`.")
    feed: str | None = Field(description="The feed that brought it, if one did.")
    status: ListingStatus
    attributes: dict[str, AttributeValue]
    photos: list[PhotoOut]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, view: ListingView) -> Self:
        """The listing as shown."""
        row = view.listing
        return cls(
            id=row.id,
            title=row.title,
            description=row.description,
            category=view.category,
            price=row.price,
            currency=row.currency,
            location=row.location,
            latitude=row.latitude,
            longitude=row.longitude,
            seller=row.seller,
            external_id=row.external_id,
            feed=row.feed,
            status=row.status,
            attributes=view.attributes,
            photos=[
                PhotoOut(**PhotoLink.of(photo).model_dump(), incomplete=photo in view.incomplete)
                for photo in view.photos
            ],
            created_at=row.created_at,
            updated_at=row.updated_at,
        )

    @property
    def tag(self) -> str:
        """Its entity tag (RFC 9110): another one as soon as anything of it has changed."""
        return f'"{sha256(self.model_dump_json().encode()).hexdigest()[:32]}"'


class ListingAccepted(BaseModel):
    """A listing that was stored, and the job that makes it findable."""

    listing_id: UUID
    job: EmbedJob


class ListingPage(BaseModel):
    """Listings, newest first."""

    items: list[ListingOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One valid row of a bulk request; `photos` are part names, SHA-256 of stored ones, or URLs."""

    number: int
    listing: ListingData
    photos: Sequence[str]


@dataclass(frozen=True, slots=True)
class Batch:
    """A bulk request: valid rows, photos by the name of their part, and rows already refused."""

    rows: Sequence[BatchRow]
    parts: Mapping[str, Upload]
    refused: Sequence[RowError]
