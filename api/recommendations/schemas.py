"""What a recommendation may ask for. Names and shapes of the models are the HTTP contract."""

from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.schemas import MAX_LIMIT, UserId
from api.searches.ranking import MAX_HALF_DAYS, MAX_HALF_KM, DiversityIn, PointIn, Weight
from api.searches.schemas import NEAR, ConditionsIn
from models.domain.cursors import MAX_CURSOR

DEFAULT_LIMIT: Final = 20
MAX_EXCLUDED: Final = 1_000


class RecommendationWeightsIn(BaseModel):
    """How much each part counts, relative to the others; 0 leaves it out."""

    model_config = ConfigDict(extra="forbid")

    interest: Weight | None = Field(
        default=None,
        description="How like it is to a listing that the user has touched, by how much and how "
        "lately that was.",
    )
    similarity: Weight | None = Field(
        default=None, description="The cosine with the item page's listing, 0 if negative."
    )
    together: Weight | None = Field(
        default=None, description="How many users have touched it beside what this one has touched."
    )
    popularity: Weight | None = Field(
        default=None, description="How many users have touched it lately."
    )
    freshness: Weight | None = Field(default=None, description="Halves with each `half_days`.")
    price: Weight | None = Field(
        default=None,
        description="The lower of its price and what the user's touched listings cost, by the "
        "higher.",
    )
    category: Weight | None = Field(
        default=None, description="How often its category is that of what the user has touched."
    )
    distance: Weight | None = Field(
        default=None, description="Halves with each `half_km` from `near`."
    )
    known_seller: Weight | None = Field(
        default=None, description="Whether the user has touched something of its seller before."
    )
    unseen: Weight | None = Field(
        default=None, description="How long ago the user has last seen it; 1 if never."
    )
    seller: Weight | None = Field(
        default=None, description="1 / (1 + n), with n listings of its seller above it."
    )


class RecommendationRankIn(BaseModel):
    """What counts: each part is a number from 0 to 1, the score their weighted mean.

    What is not known of a listing is 0. A part that there is nothing to compare with is left out,
    whatever its weight.
    """

    model_config = ConfigDict(extra="forbid")

    weights: RecommendationWeightsIn | None = Field(
        default=None, description="Of those not stated, what was learned, or else the defaults."
    )
    half_km: float | None = Field(default=None, gt=0, le=MAX_HALF_KM, allow_inf_nan=False)
    half_days: float | None = Field(default=None, gt=0, le=MAX_HALF_DAYS, allow_inf_nan=False)


class RecommendationIn(BaseModel):
    """What is recommended to a `user`, beside the listing of an item page, or to anybody.

    With neither, what is fresh and popular.
    """

    model_config = ConfigDict(extra="forbid")

    user: UserId | None = Field(
        default=None, description="The caller's pseudonym of the user, as events state it."
    )
    listing_id: UUID | None = Field(
        default=None, description="Of an item page: what is like this listing, for this user."
    )
    filter: ConditionsIn | None = None
    near: PointIn | None = Field(default=None, description=NEAR)
    rank: RecommendationRankIn | None = None
    diversity: DiversityIn | None = None
    exclude: Annotated[list[UUID], Field(max_length=MAX_EXCLUDED, fail_fast=True)] = Field(
        default=[], description="Listings that are left out, such as those that are shown already."
    )
    exclude_seen: bool | None = Field(
        default=None,
        description="Whether what the user has viewed is left out; the server's setting by "
        "default, else it comes later.",
    )
    cursor: Annotated[str, Field(max_length=MAX_CURSOR)] | None = Field(
        default=None, description="`next_cursor` of a recommendation; only `limit` may go with it."
    )
    limit: int | None = Field(
        default=None,
        ge=1,
        le=MAX_LIMIT,
        description=f"At most so many listings; {DEFAULT_LIMIT}, or as many as the page before.",
    )

    @model_validator(mode="after")
    def _goes_on_alone(self) -> Self:
        if self.cursor is not None and self.model_fields_set - {"cursor", "limit"}:
            raise ValueError("nothing but limit goes with a cursor")
        return self
