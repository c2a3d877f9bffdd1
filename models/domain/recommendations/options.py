"""How recommendations are made, with the defaults that were measured. Standard library only.

What the defaults were chosen by is in docs/decisions/0040-recommending.md.
"""

from dataclasses import dataclass
from typing import Final

from models.domain.recommendations.events import EventKind
from models.domain.searches.options import Diversity, RankWeights

NEVER_AGAIN: Final = frozenset({EventKind.CONTACTED, EventKind.PURCHASED, EventKind.HIDDEN})
"""What is done with a listing after which it is not recommended to the same user any more."""

SEEN: Final = frozenset({EventKind.IMPRESSION, EventKind.VIEWED, EventKind.SAVED})
"""What says that a user knows a listing: it counts less, see `RankPart.UNSEEN`."""


@dataclass(frozen=True, slots=True)
class KindWeights:
    """How much what was done with a listing says of what its user wants, in [0, 1]; 0 is nothing.

    An impression was shown, which is no choice of the user's; what was hidden is not wanted.
    """

    impression: float = 0.0
    viewed: float = 0.3
    saved: float = 0.8
    contacted: float = 0.9
    purchased: float = 1.0
    hidden: float = 0.0

    @property
    def by_kind(self) -> dict[EventKind, float]:
        """The weight of each kind."""
        return {
            EventKind.IMPRESSION: self.impression,
            EventKind.VIEWED: self.viewed,
            EventKind.SAVED: self.saved,
            EventKind.CONTACTED: self.contacted,
            EventKind.PURCHASED: self.purchased,
            EventKind.HIDDEN: self.hidden,
        }


@dataclass(frozen=True, slots=True)
class InterestOptions:
    """How touches become interests.

    A touch counts half after `half_days`. The `max_touches` listings that count most are clustered,
    into clusters that are at most `max_distance` apart, as Ward's method measures it between unit
    vectors. The `max_interests` that weigh most are looked around.
    """

    kinds: KindWeights = KindWeights()
    half_days: float = 14.0
    max_touches: int = 300
    max_distance: float = 1.0
    max_interests: int = 8


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """How many candidates are taken from each source at most.

    `nearest` is for each interest, and `nearest_of_all` for all together, but `nearest_at_least`
    for each. Beside interests, half of `popular` and `fresh` are taken.
    """

    nearest: int = 200
    nearest_of_all: int = 600
    nearest_at_least: int = 50
    together: int = 200
    popular: int = 200
    fresh: int = 100

    def nearest_of_each(self, interests: int) -> int:
        """How many are looked for around each of so many interests."""
        share = self.nearest_of_all // max(1, interests)
        return min(self.nearest, max(self.nearest_at_least, share))


DEFAULT_WEIGHTS: Final = RankWeights(
    similarity=1.0,
    text=0.0,
    price=0.15,
    distance=0.1,
    freshness=0.2,
    category=0.1,
    popularity=0.1,
    interest=1.0,
    together=0.1,
    known_seller=0.02,
    unseen=0.3,
)
"""Relative to the others; what a catalogue does not have, such as places, is left out.

`similarity` is the likeness to the listing of a page.
"""

DEFAULT_DIVERSITY: Final = Diversity(strength=0.1, per_seller=3)


@dataclass(frozen=True, slots=True)
class RecommendOptions:
    """How candidates are found and ordered; see `models.recommending.scoring` for the parts.

    `popularity_half` is the number of users, decayed, at which popularity is a half; `half_days`
    and `half_km` are where a listing's age and distance count by half; `seen_half_days` after
    which having seen a listing counts half.
    """

    interests: InterestOptions = InterestOptions()
    limits: SourceLimits = SourceLimits()
    weights: RankWeights = DEFAULT_WEIGHTS
    diversity: Diversity = DEFAULT_DIVERSITY
    popularity_half: float = 5.0
    together_half: float = 2.0
    half_days: float = 30.0
    half_km: float = 25.0
    seen_half_days: float = 7.0
