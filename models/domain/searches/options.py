"""What a search may say of the order of its results. Standard library only.

Every part of a ranking is a number in [0, 1], see `models.ranking.features`; a listing's score is
their weighted mean.
"""

from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import Final, Self

MAX_WEIGHT: Final = 100.0
MAX_TEXT_QUERY: Final = 500
"""In characters."""


class RankPart(StrEnum):
    """A part of a ranking."""

    SIMILARITY = "similarity"
    TEXT = "text"
    PRICE = "price"
    DISTANCE = "distance"
    FRESHNESS = "freshness"
    CATEGORY = "category"
    POPULARITY = "popularity"
    SELLER = "seller"
    INTEREST = "interest"
    TOGETHER = "together"
    KNOWN_SELLER = "known_seller"
    UNSEEN = "unseen"


RELEVANCE: Final = frozenset({RankPart.SIMILARITY, RankPart.TEXT})
"""The parts that say how well a listing answers what was asked."""

OF_USERS: Final = frozenset(
    {RankPart.INTEREST, RankPart.TOGETHER, RankPart.KNOWN_SELLER, RankPart.UNSEEN}
)
"""The parts that are of a user (`models.recommending.scoring`), which no search has."""


@dataclass(frozen=True, slots=True)
class RankWeights:
    """How much each part counts, relative to the others; one of 0 is left out.

    By default a listing's look counts, and its words where a search has some: how they are weighed
    is measured in docs/decisions/0033-hybrid.md.
    """

    similarity: float = 1.0
    text: float = 0.5
    price: float = 0.0
    distance: float = 0.0
    freshness: float = 0.0
    category: float = 0.0
    popularity: float = 0.0
    seller: float = 0.0
    interest: float = 0.0
    together: float = 0.0
    known_seller: float = 0.0
    unseen: float = 0.0

    def __post_init__(self) -> None:
        for name, weight in asdict(self).items():
            if not (isfinite(weight) and 0 <= weight <= MAX_WEIGHT):
                raise ValueError(f"the weight of {name} is no number from 0 to {MAX_WEIGHT:g}")

    def of(self, part: RankPart) -> float:
        """The weight of a part."""
        weight: float = getattr(self, part)
        return weight

    def with_stated(self, stated: "dict[RankPart, float]") -> Self:
        """These, but for the parts that are stated."""
        return replace(self, **{part.value: weight for part, weight in stated.items()})

    @property
    def ranks(self) -> bool:
        """Whether a part counts that is not of how well a listing answers."""
        return any(self.of(part) for part in RankPart if part not in RELEVANCE)

    @classmethod
    def parse(cls, stated: str) -> Self:
        """Weights of searches such as `freshness=0.2,distance=0.3`, the others as by default.

        Raises ValueError with what is wrong.
        """
        names = [field.name for field in fields(cls) if field.name not in OF_USERS]
        weights: dict[str, float] = {}
        for item in filter(None, (item.strip() for item in stated.split(","))):
            name, _, number = (part.strip() for part in item.partition("="))
            if name not in names:
                raise ValueError(f"{name!r} is none of {', '.join(names)}")
            try:
                weights[name] = float(number)
            except ValueError:
                raise ValueError(f"the weight of {name} is no number") from None
        return cls(**weights)


@dataclass(frozen=True, slots=True)
class Ranking:
    """How results are ranked; see `models.ranking.features` for the parts and their scales.

    `price` is what a listing should cost, in `currency`; without one it is what the listing costs
    that is searched with. `popularity` names the attribute that counts how often a listing was
    looked at, or saved. `half_km` and `half_days` are where distance and age count by half.
    """

    weights: RankWeights = RankWeights()
    price: Decimal | None = None
    currency: str | None = None
    popularity: str | None = None
    half_km: float = 25.0
    half_days: float = 30.0


@dataclass(frozen=True, slots=True)
class RankDefaults:
    """The weights of what a search states none for, and which attribute counts popularity."""

    weights: RankWeights = RankWeights()
    popularity: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A point on the earth, in degrees of WGS 84."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Diversity:
    """How much results are to differ from each other.

    `strength` in [0, 1] is how much a listing loses for looking like one above it, as in maximal
    marginal relevance (Carbonell and Goldstein, 1998): 1 looks at nothing else. `per_seller` is how
    many of a seller's listings come before those of the other sellers of their block.
    """

    strength: float = 0.0
    per_seller: int | None = None


class FusionMethod(StrEnum):
    """How look and words make one order, each by its weight."""

    RRF = "rrf"
    """By their places: reciprocal ranks."""
    CONVEX = "convex"
    """By their values: a convex combination."""


DEFAULT_FUSION: Final = FusionMethod.CONVEX
RRF_TEXT_WEIGHT: Final = 1.0
"""Of the words where they are fused by places, if none is stated.

As measured in docs/decisions/0033-hybrid.md, as are the weights above.
"""
