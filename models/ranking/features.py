"""The parts of a ranking: what speaks for a listing, each as a number in [0, 1].

| part | is | 1/2 where |
|---|---|---|
| similarity | the cosine, or 0 if that is negative | |
| text | the score of the words | |
| price | its price and the wanted one: the lower by the higher | one is twice the other |
| distance | 2^(-km / half), along the earth's surface | `half_km` away |
| freshness | 2^(-days / half), since the listing was created | `half_days` old |
| category | the share of a wanted path's names that its own begins with | |
| popularity | n / (n + half) | `POPULARITY_HALF` |
| seller | 1 / (1 + listings of its seller above it) | one is above it |

What is not known of a listing is 0, also a price in another currency. Each is monotonic in what it
is made from, to the last bit: of two listings that differ only in that, the better one never has
less.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from math import asin, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.geo import RADIUS_KM, haversine
from models.domain.searches.facts import ListingFacts
from models.domain.searches.options import Place, Ranking, RankPart
from models.domain.text import CATEGORY_SEPARATOR

Feature = NDArray[np.float64]

POPULARITY_HALF: Final = 100.0
"""Of views, or whatever the attribute counts."""

SECONDS_A_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What listings are compared with; a part whose reference is None is left out of a ranking.

    `price` is in `currency`; one of None is any. `categories` has how often each path is wanted.
    """

    now: datetime
    price: float | None = None
    currency: str | None = None
    origin: Place | None = None
    categories: Mapping[str, float] | None = None


def static_features(
    facts: Sequence[ListingFacts], ranking: Ranking, wanted: Wanted
) -> dict[RankPart, Feature]:
    """The parts (n,) that a listing has by itself, of those that have a weight and a reference."""
    weights = ranking.weights
    features: dict[RankPart, Feature] = {}
    if weights.price and wanted.price is not None:
        features[RankPart.PRICE] = _array(
            price_fit(one.price, one.currency, wanted.price, wanted.currency) for one in facts
        )
    if weights.distance and wanted.origin is not None:
        origin = wanted.origin
        features[RankPart.DISTANCE] = _array(
            nearness(one, origin, ranking.half_km) for one in facts
        )
    if weights.freshness:
        features[RankPart.FRESHNESS] = _array(
            freshness(one.created_at, wanted.now, ranking.half_days) for one in facts
        )
    if weights.category and wanted.categories:
        features[RankPart.CATEGORY] = _agreements(facts, wanted.categories)
    if weights.popularity and ranking.popularity is not None:
        features[RankPart.POPULARITY] = _array(popularity(one.popularity) for one in facts)
    return features


def price_fit(
    price: float | None, currency: str | None, wanted: float, wanted_currency: str | None
) -> float:
    """How near a price is to the wanted one, by their ratio."""
    if price is None or (wanted_currency is not None and currency != wanted_currency):
        return 0.0
    low, high = sorted((price, wanted))
    return low / high if high > 0 else 1.0


def nearness(facts: ListingFacts, origin: Place, half_km: float) -> float:
    """How near a listing is to a place."""
    if facts.latitude is None or facts.longitude is None:
        return 0.0
    angle = haversine(origin.latitude, origin.longitude, facts.latitude, facts.longitude)
    return decay(2 * RADIUS_KM * asin(sqrt(angle)), half_km)


def freshness(created_at: datetime, now: datetime, half_days: float) -> float:
    """How new a listing is; one of the future is new."""
    age_s = max(0.0, (now - created_at).total_seconds())
    return decay(age_s / SECONDS_A_DAY, half_days)


def popularity(count: float | None) -> float:
    """How often a listing was looked at, or whatever is counted."""
    return saturated(count, POPULARITY_HALF)


def saturated(count: float | None, half: float) -> float:
    """A count as a part: none is 0, `half` is a half, and ever more is ever nearer to 1."""
    return 0.0 if count is None or count <= 0 else count / (count + half)


def decay(amount: float, half: float) -> float:
    """A number that halves with each `half`."""
    return float(2.0 ** -(amount / half))


@lru_cache(maxsize=2**14)
def agreement(category: str | None, wanted: str) -> float:
    """The share of the names of a wanted path that a listing's begins with."""
    if category is None:
        return 0.0
    names, others = wanted.split(CATEGORY_SEPARATOR), category.split(CATEGORY_SEPARATOR)
    shared = 0
    for name, other in zip(names, others, strict=False):
        if name != other:
            break
        shared += 1
    return shared / len(names)


def wanted_categories(categories: Sequence[str | None]) -> dict[str, float]:
    """How large a share of these listings is of each category; of those without one, of none."""
    counts = Counter(category for category in categories if category is not None)
    return {category: count / counts.total() for category, count in sorted(counts.items())}


def _agreements(facts: Sequence[ListingFacts], wanted: Mapping[str, float]) -> Feature:
    known = {
        category: sum(share * agreement(category, path) for path, share in wanted.items())
        for category in {one.category for one in facts}
    }
    return np.minimum(_array(known[one.category] for one in facts), 1.0)


def _array(numbers: Iterable[float]) -> Feature:
    return np.fromiter(numbers, np.float64)
