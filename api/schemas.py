"""What goes over the wire. Names and shapes are the HTTP contract."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from db.catalogue.categories import CATEGORY_SEPARATOR
from db.catalogue.listings import (
    ListingData,
    ListingView,
)
from db.tables import Generation, Job
from db.vectors.encoders import EncoderSummary
from models.domain.limits import (
    MAX_CATEGORY_DEPTH,
    MAX_CATEGORY_NAME,
    MAX_CATEGORY_PATH,
    MAX_DESCRIPTION,
    MAX_LOCATION,
    MAX_SELLER,
    MAX_TITLE,
)
from models.domain.types import EncoderStatus, GenerationStatus, JobStatus, JobType, ListingStatus

MAX_LIMIT = 100


def _storable(text: str) -> str:
    """Refuse what PostgreSQL can't keep and nobody means to write."""
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    return text


def _category_path(path: str) -> str:
    """A category path with its separators as the database writes them."""
    parts = [part.strip() for part in path.split("/") if part.strip()]
    normal = CATEGORY_SEPARATOR.join(parts)
    if len(parts) > MAX_CATEGORY_DEPTH:
        raise ValueError(f"has more than {MAX_CATEGORY_DEPTH} levels")
    if any(len(part) > MAX_CATEGORY_NAME for part in parts) or len(normal) > MAX_CATEGORY_PATH:
        raise ValueError(
            f"has a name over {MAX_CATEGORY_NAME} or altogether over {MAX_CATEGORY_PATH} characters"
        )
    return normal


Text = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_storable)]

CategoryPath = Annotated[Text, AfterValidator(_category_path)]
Price = Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=2)]

ShownStatus = Literal[ListingStatus.ACTIVE, ListingStatus.RESERVED, ListingStatus.SOLD]
"""What a listing may be; that it is deleted, nobody states."""


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str = Field(description="Stable name of the error, for programs.")
    detail: str = Field(description="One sentence, for people.")
    errors: list[dict[str, str]] | None = None


class ByListing(BaseModel):
    """A question about a listing's photos, instead of a photo that is sent along."""

    model_config = ConfigDict(extra="forbid")

    listing_id: UUID = Field(description="Ask about this listing's photos.")


class PredictionOptions(BaseModel):
    """What a prediction may say beside what it is made from."""

    top: int = Field(default=5, ge=1, le=MAX_LIMIT, description="At most so many categories.")


class PredictionIn(PredictionOptions, ByListing):
    """A prediction for a listing, as if it were not in the catalogue."""


class ListingIn(BaseModel):
    """A listing as its seller states it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "title": "Red enamel kettle",
                "category": "Appliances / Kettles",
                "price": "12.50",
                "currency": "GBP",
                "location": "Leeds, West Yorkshire",
                "latitude": 53.8,
                "longitude": -1.55,
                "seller": "sam-4711",
            }
        },
    )

    title: Annotated[Text, Field(min_length=1, max_length=MAX_TITLE)]
    description: Annotated[Text, Field(max_length=MAX_DESCRIPTION)] = ""
    category: Annotated[Text, AfterValidator(_category_path)] | None = Field(
        default=None, description="Path such as `Home & Garden / Lighting`."
    )
    price: Decimal | None = Field(default=None, ge=0, max_digits=14, decimal_places=2)
    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$", description="ISO 4217.")
    location: Annotated[Text, Field(max_length=MAX_LOCATION)] | None = None
    latitude: float | None = Field(default=None, ge=-90, le=90, description="Degrees of WGS 84.")
    longitude: float | None = Field(
        default=None, ge=-180, le=180, description="Degrees of WGS 84, east positive."
    )
    seller: Annotated[Text, Field(max_length=MAX_SELLER)] | None = Field(
        default=None, description="The caller's name for who sells it."
    )
    status: ShownStatus = ListingStatus.ACTIVE

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
        )


class BatchRowIn(ListingIn):
    """One row of a bulk request."""

    id: UUID | None = Field(default=None, description="The caller's id; made here when absent.")
    photos: list[Text] = Field(
        min_length=1,
        max_length=12,
        description="Names of photo parts of the same request, or SHA-256 of stored photos.",
    )


class PhotoOut(BaseModel):
    """A photo, and where to read it."""

    id: str
    url: str

    @classmethod
    def of(cls, sha256: str) -> Self:
        """The photo with these bytes."""
        return cls(id=sha256, url=f"/v1/photos/{sha256}")


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
    status: ListingStatus
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
            status=row.status,
            photos=[PhotoOut.of(sha256) for sha256 in view.photos],
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class Progress(BaseModel):
    """How far a job is, in photos (in rows of the index for a reindex)."""

    total: int
    done: int
    failed: int


class JobError(BaseModel):
    """Why a job failed."""

    code: str
    detail: str


class JobOut(BaseModel):
    """A job."""

    id: UUID
    type: JobType
    status: JobStatus
    progress: Progress
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: JobError | None
    result: dict[str, Any] | None

    @classmethod
    def of(cls, job: Job) -> Self:
        """The job as it is now."""
        error = None
        if job.error_code is not None:
            error = JobError(code=job.error_code, detail=job.error_detail or "")
        return cls(
            id=job.id,
            type=job.type,
            status=job.status,
            progress=Progress(total=job.total, done=job.done, failed=job.failed),
            attempt=job.attempt,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            error=error,
            result=job.result,
        )


class ListingAccepted(BaseModel):
    """A listing that was stored, and the job that makes it findable."""

    listing_id: UUID
    job: JobOut


class JobPage(BaseModel):
    """Jobs, newest first."""

    items: list[JobOut]
    next_cursor: str | None


class ListingPage(BaseModel):
    """Listings, newest first."""

    items: list[ListingOut]
    next_cursor: str | None


class GenerationOut(BaseModel):
    """One build of the index."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    status: GenerationStatus
    factory: str | None
    rows: int | None
    last_change: int | None
    recall_at_10: float | None
    p50_ms: float | None
    bytes: int | None
    error: str | None
    created_at: datetime
    activated_at: datetime | None

    @classmethod
    def of(cls, generation: Generation) -> Self:
        """The generation's row."""
        return cls.model_validate(generation)


class EncoderOut(BaseModel):
    """An encoder, and what it is to the catalogue."""

    label: str
    fingerprint: str
    dimension: int
    status: EncoderStatus
    embedded: int = Field(description="Shown photos that it has embedded.")
    missing: int = Field(description="Shown photos that it has not.")
    generation_id: int | None = Field(description="The index that is searched with it.")
    created_at: datetime
    activated_at: datetime | None

    @classmethod
    def of(cls, summary: EncoderSummary) -> Self:
        """The encoder as it stands."""
        row = summary.encoder
        return cls(
            label=row.spec.label,
            fingerprint=row.fingerprint,
            dimension=row.dimension,
            status=row.status,
            embedded=summary.embedded,
            missing=summary.missing,
            generation_id=summary.generation_id,
            created_at=row.created_at,
            activated_at=row.activated_at,
        )


class Alive(BaseModel):
    """The process answers."""

    status: str


class Ready(BaseModel):
    """Whether a search would be done now, and what is missing if not."""

    status: str
    checks: dict[str, bool]
    encoder: str | None = Field(description="The encoder that the search worker holds.")
