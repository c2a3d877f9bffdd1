"""How a search may say what its results are ordered by. The models are the HTTP contract."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import LINE, Price
from models.domain.searches.attributes import MAX_ATTRIBUTE_NAME
from models.domain.searches.options import (
    MAX_WEIGHT,
    RRF_TEXT_WEIGHT,
    Diversity,
    FusionMethod,
    Place,
    RankDefaults,
    Ranking,
    RankPart,
    RankWeights,
)

MAX_HALF_KM: Final = 20_040
MAX_HALF_DAYS: Final = 36_500
MAX_PER_SELLER: Final = 100

IMPLIED_WEIGHT: Final = 0.05
"""Of a part that a search says something about, such as `near`, and states no weight for. Beside a
similarity of 1 it orders what looks about as alike; see docs/decisions/0032-ranking.md."""

IMPLIED_CATEGORY_WEIGHT: Final = 0.1
"""Of the category of any search with `rank` or `near`: what else counts then costs no precision."""

Weight = Annotated[float, Field(ge=0, le=MAX_WEIGHT, allow_inf_nan=False)]


class PointIn(BaseModel):
    """A point on the earth."""

    model_config = ConfigDict(extra="forbid")

    lat: float = Field(ge=-90, le=90, allow_inf_nan=False, description="Degrees of WGS 84.")
    lon: float = Field(ge=-180, le=180, allow_inf_nan=False, description="East positive.")

    def to_place(self) -> Place:
        """The point as rankings take it."""
        return Place(self.lat, self.lon)


class WeightsIn(BaseModel):
    """How much each part counts, relative to the others; 0 leaves it out."""

    model_config = ConfigDict(extra="forbid")

    similarity: Weight | None = Field(default=None, description="The cosine, 0 if negative.")
    text: Weight | None = Field(default=None, description="How well the words are answered.")
    price: Weight | None = Field(
        default=None, description="The lower of its price and the wanted one by the higher."
    )
    distance: Weight | None = Field(default=None, description="Halves with each `half_km`.")
    freshness: Weight | None = Field(default=None, description="Halves with each `half_days`.")
    category: Weight | None = Field(
        default=None,
        description="The share of its category's path that it has in common with the listing "
        "searched with, or else with the best ten.",
    )
    popularity: Weight | None = Field(default=None, description="n / (n + 100).")
    seller: Weight | None = Field(
        default=None, description="1 / (1 + n), with n listings of its seller above it."
    )


class RankIn(BaseModel):
    """What counts: each part is a number from 0 to 1, the score their weighted mean.

    What is not known of a listing is 0, also a price in another currency. A part that nothing is
    stated about is left out, whatever its weight.
    """

    model_config = ConfigDict(extra="forbid")

    weights: WeightsIn | None = Field(
        default=None, description="Of those not stated, the server's settings."
    )
    price: Price | None = Field(
        default=None, description="What it should cost; as the listing searched with by default."
    )
    currency: str | None = Field(
        default=None, pattern="^[A-Z]{3}$", description="Of `price`, ISO 4217; any by default."
    )
    popularity: Annotated[str, Field(max_length=MAX_ATTRIBUTE_NAME), LINE] | None = Field(
        default=None, description="The attribute that counts it, such as `views`."
    )
    half_km: float = Field(default=25.0, gt=0, le=MAX_HALF_KM, allow_inf_nan=False)
    half_days: float = Field(default=30.0, gt=0, le=MAX_HALF_DAYS, allow_inf_nan=False)


class DiversityIn(BaseModel):
    """How much results differ from each other."""

    model_config = ConfigDict(extra="forbid")

    strength: float = Field(
        default=0.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="What a listing loses for looking like one above it (MMR); 0 is nothing.",
    )
    per_seller: int | None = Field(
        default=None,
        ge=1,
        le=MAX_PER_SELLER,
        description="After so many of one seller, those of others come first.",
    )

    def to_diversity(self) -> Diversity:
        """The diversity as searches take it."""
        return Diversity(self.strength, self.per_seller)


def ranking_of(
    rank: RankIn | None,
    near: PointIn | None,
    defaults: RankDefaults,
    *,
    hybrid: bool,
    fusion: FusionMethod | None,
) -> Ranking | None:
    """What a search is ranked by; None where nothing but its look, or its words, counts.

    What it says something about, counts, although no weight is stated. `hybrid` says whether both
    count.
    """
    is_stated = rank is not None or near is not None
    if not is_stated and not defaults.weights.ranks and not hybrid:
        return None
    rank = rank or RankIn()
    popularity = (rank.popularity or defaults.popularity or "").casefold() or None
    weights = rank.weights or WeightsIn()
    stated = {RankPart(name): weight for name, weight in weights if weight is not None}
    said = {
        RankPart.PRICE: rank.price is not None,
        RankPart.DISTANCE: near is not None,
        RankPart.POPULARITY: rank.popularity is not None,
    }
    implied = {
        part: IMPLIED_WEIGHT
        for part, is_said in said.items()
        if is_said and not defaults.weights.of(part)
    }
    if is_stated and not defaults.weights.category:
        implied[RankPart.CATEGORY] = IMPLIED_CATEGORY_WEIGHT
    if fusion is FusionMethod.RRF and defaults.weights.text == RankWeights().text:
        implied[RankPart.TEXT] = RRF_TEXT_WEIGHT
    return Ranking(
        defaults.weights.with_stated(implied | stated),
        rank.price,
        rank.currency,
        popularity,
        rank.half_km,
        rank.half_days,
    )
