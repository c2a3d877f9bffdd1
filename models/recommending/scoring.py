"""The parts of a recommendation's score, each as a number in [0, 1].

| part | is |
|---|---|
| similarity | to the listing of the page, the cosine, or 0 if that is negative |
| interest | the best cosine to a touched listing, each by its weight beside the heaviest's |
| together | n / (n + half), n users who touched it beside what was touched, by weight |
| popularity | n / (n + half), n users who touched it, each by age |
| known_seller | 1 if its seller is that of something touched |
| unseen | 1, less 2^(-days / half) since it was last seen |

Price, distance, freshness and category are those of searches (`models.ranking.features`): wanted is
what was touched. What is not known of a listing is 0.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.domain.recommendations.events import Touch
from models.domain.recommendations.options import SEEN, RecommendOptions
from models.domain.searches.options import Place, Ranking, RankPart
from models.ranking.features import (
    SECONDS_A_DAY,
    Feature,
    Wanted,
    decay,
    saturated,
    static_features,
)
from models.recommending.candidates import Found, Known
from models.recommending.interests import Touched
from models.recommending.sources import Together

Rows = NDArray[np.float32]

NOBODY: Final = -1
"""The row of no touch."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The parts (n,) of n candidates, and the row of the touch that led to each, or `NOBODY`."""

    features: Mapping[RankPart, Feature]
    because: NDArray[np.int64]


def interest(
    candidates: Rows,
    touched: Rows,
    weights: NDArray[np.float64],
    themselves: Mapping[int, int],
) -> tuple[Feature, NDArray[np.int64]]:
    """How near each of (n, dimension) is to what was touched, (m, dimension), and to which of it.

    `weights` (m,) are greater than 0. Rows of zeros are near to nothing. `themselves` has the rows
    of touched listings by their rows among the candidates: no listing leads to itself.
    """
    if not len(touched) or not len(candidates) or touched.shape[1] != candidates.shape[1]:
        # Of different dimensions are those of which none has a vector.
        return np.zeros(len(candidates)), np.full(len(candidates), NOBODY)
    near = np.clip((candidates @ touched.T).astype(np.float64), 0.0, 1.0)
    near *= weights / weights.max()
    near[list(themselves.keys()), list(themselves.values())] = 0.0
    because = near.argmax(axis=1)
    values: Feature = near[np.arange(len(near)), because]
    return values, np.where(values > 0, because, NOBODY)


def together(
    candidates: Sequence[UUID],
    touched: Sequence[Touched],
    pairs: Sequence[Together],
    half: float,
) -> tuple[Feature, NDArray[np.int64]]:
    """How many users touched each beside what was touched, and beside which of it most."""
    rows = {listing_id: row for row, listing_id in enumerate(candidates)}
    touched_rows = {one.listing_id: row for row, one in enumerate(touched)}
    heaviest = max((one.weight for one in touched), default=1.0)
    counts, most = np.zeros(len(candidates)), np.zeros(len(candidates))
    because = np.full(len(candidates), NOBODY)
    for pair in pairs:
        row, beside = rows.get(pair.listing_id), touched_rows.get(pair.beside)
        if row is None or beside is None or pair.beside == pair.listing_id:
            continue
        users = pair.users * touched[beside].weight / heaviest
        counts[row] += users
        if users > most[row]:
            most[row], because[row] = users, beside
    return counts / (counts + half), because


def unseen(
    candidates: Sequence[UUID], touches: Sequence[Touch], now: datetime, half_days: float
) -> Feature:
    """How long ago the user has last seen each."""
    seen: dict[UUID, datetime] = {}
    for touch in touches:
        if touch.kind in SEEN:
            seen[touch.listing_id] = max(touch.at, seen.get(touch.listing_id, touch.at))

    def value(listing_id: UUID) -> float:
        at = seen.get(listing_id)
        if at is None:
            return 1.0
        return 1.0 - decay(max(0.0, (now - at).total_seconds()) / SECONDS_A_DAY, half_days)

    return np.fromiter((value(one) for one in candidates), np.float64)


def parts_of(
    touches: Sequence[Touch],
    near: Place | None,
    now: datetime,
    known: Known,
    found: Found,
    options: RecommendOptions,
) -> Parts:
    """All parts of all candidates that have a weight and a reference, but the sellers' turns."""
    weights = options.weights
    ids = [one.listing_id for one in found.facts]
    ranking = Ranking(weights=weights, half_km=options.half_km, half_days=options.half_days)
    features = static_features(found.facts, ranking, _wanted(known, near, now))
    if weights.popularity:
        features[RankPart.POPULARITY] = np.fromiter(
            (saturated(one.popularity, options.popularity_half) for one in found.facts), np.float64
        )
    if weights.similarity and known.page_id is not None:
        features[RankPart.SIMILARITY] = _to_page(found.look, known.page_look)
    because = np.full(len(ids), NOBODY)
    if known.touched:
        touched_rows = {one.listing_id: row for row, one in enumerate(known.touched)}
        themselves = {row: touched_rows[one] for row, one in enumerate(ids) if one in touched_rows}
        from_interest, nearest = interest(found.look, known.look, known.weights, themselves)
        beside, most = together(ids, known.touched, found.together, options.together_half)
        features[RankPart.INTEREST] = from_interest
        features[RankPart.TOGETHER] = beside
        if weights.known_seller:
            features[RankPart.KNOWN_SELLER] = _known_sellers(known, found)
        by_users = weights.together * beside > weights.interest * from_interest
        because = np.where(found.led, np.where(by_users, most, nearest), NOBODY)
    if weights.unseen and touches:
        features[RankPart.UNSEEN] = unseen(ids, touches, now, options.seen_half_days)
    return Parts({part: features[part] for part in features if weights.of(part)}, because)


def _to_page(candidates: Rows, page: Rows) -> Feature:
    if not len(page) or page.shape[1] != candidates.shape[1]:
        return np.zeros(len(candidates))
    cosines: Feature = np.clip((candidates @ page[0]).astype(np.float64), 0.0, 1.0)
    return cosines


def _known_sellers(known: Known, found: Found) -> Feature:
    sellers = {one.seller for one in known.facts.values() if one.seller is not None}
    return np.array([one.seller in sellers for one in found.facts], np.float64)


def _wanted(known: Known, near: Place | None, now: datetime) -> Wanted:
    """What touched listings were like: their price level, and their categories by weight."""
    categories: defaultdict[str, float] = defaultdict(float)
    prices: list[tuple[float, float]] = []
    weight_of = {one.listing_id: one.weight for one in known.touched}
    currencies: defaultdict[str | None, float] = defaultdict(float)
    for listing_id, facts in sorted(known.facts.items()):
        weight = weight_of[listing_id]
        if facts.category is not None:
            categories[facts.category] += weight
        if facts.price is not None:
            currencies[facts.currency] += weight
    total = sum(categories.values())
    shares = {path: weight / total for path, weight in sorted(categories.items())}
    currency = max(currencies, key=lambda one: (currencies[one], one or ""), default=None)
    for listing_id, facts in sorted(known.facts.items()):
        if facts.price is not None and facts.currency == currency:
            prices.append((facts.price, weight_of[listing_id]))
    return Wanted(now, _weighted_median(prices), currency, near, shares or None)


def _weighted_median(values: list[tuple[float, float]]) -> float | None:
    """The value at which half of the weight is reached; None of nothing."""
    half = sum(weight for _, weight in values) / 2
    reached = 0.0
    for value, weight in sorted(values):
        reached += weight
        if reached >= half:
            return value
    return None
