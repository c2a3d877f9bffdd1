"""What a prediction may ask for. Names and shapes of the models are the HTTP contract."""

from dataclasses import dataclass
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import MAX_LIMIT
from api.uploads.spool import Upload


class ByListing(BaseModel):
    """A question about a listing's photos, instead of a photo that is sent along."""

    model_config = ConfigDict(extra="forbid")

    listing_id: UUID = Field(description="Ask about this listing's photos.")


class PredictionOptions(BaseModel):
    """What a prediction may say beside what it is made from."""

    model_config = ConfigDict(extra="forbid")

    top: int = Field(default=5, ge=1, le=MAX_LIMIT, description="At most so many categories.")


class PredictionIn(PredictionOptions, ByListing):
    """A prediction for a listing, as if it were not in the catalogue."""


@dataclass(frozen=True, slots=True)
class PredictionByPhoto:
    """A prediction for a photo that was sent along."""

    photo: Upload
    options: PredictionOptions
