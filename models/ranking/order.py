"""The order of candidates: by score, less what repeats those above. Pure.

Greedy, as maximal marginal relevance is (Carbonell and Goldstein, 1998): each next one is the best
beside those already taken. What was taken counts as a set, so that an order can be taken up where
a page has ended.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.searches.options import Diversity, RankPart, RankWeights
from models.ranking.features import Feature

NO_DIVERSITY: Final = Diversity()


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What is to be ordered, n of it; equals are in this order.

    `features` (n,) are all parts but `seller`. `sellers` is needed where sellers count, `vectors`
    (n, dimension), zeros where there is none, where diversity has a strength.
    """

    features: Mapping[RankPart, Feature]
    sellers: Sequence[str | None] = ()
    vectors: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """The candidate of this row, its score in [0, 1], and the parts that the score is the mean of.

    How much it repeats those above it is no part of the score.
    """

    row: int
    score: float
    reasons: Mapping[RankPart, float]


def ordered(
    candidates: Candidates,
    weights: RankWeights,
    diversity: Diversity = NO_DIVERSITY,
    taken: Collection[int] = (),
) -> Iterator[Ranked]:
    """The candidates, best first, that come after those `taken`, by row.

    Of two that differ in nothing but a part of which one has more, that one comes first, whatever
    rounding makes of their scores: equal scores are ordered by the parts themselves.
    """
    order = _Order(candidates, weights, diversity)
    for row in sorted(taken):
        order.take(row)
    if not order.depends_on_taken:
        return order.by_score()
    return order.one_by_one()


class _Order:
    """Candidates, and which of them are taken; rows are in order of what equal scores go by."""

    def __init__(self, candidates: Candidates, weights: RankWeights, diversity: Diversity) -> None:
        parts = [part for part in RankPart if part in candidates.features and weights.of(part)]
        self._features = {part: candidates.features[part] for part in parts}
        count = len(next(iter(candidates.features.values()), ()))
        self._seller_weight = weights.seller
        self._diversity = diversity
        total = np.zeros(count)
        # One after the other, which keeps the sum monotonic in each part to the last bit.
        for part, values in self._features.items():
            total += weights.of(part) * values
        self._total = total
        self._whole = sum(weights.of(part) for part in parts) + weights.seller
        # Where nothing counts, all scores are 0.
        self._whole = self._whole or 1.0
        keys = [-values for values in candidates.features.values()]
        self._rows: NDArray[np.int64] = (
            np.lexsort([np.arange(count), *reversed(keys)]) if keys else np.arange(count)
        )
        self._open = np.ones(count, np.bool_)
        self._vectors = candidates.vectors if diversity.strength else None
        self._likeness = np.zeros(count)
        counts_sellers = weights.seller or diversity.per_seller is not None
        self._sellers = _numbered(candidates.sellers) if counts_sellers else None
        self._above = np.zeros(count, np.int64)

    @property
    def depends_on_taken(self) -> bool:
        return self._vectors is not None or self._sellers is not None

    def take(self, row: int) -> None:
        self._open[row] = False
        if self._vectors is not None:
            # Row by row, so that equal vectors are equally alike: a product of matrices may round
            # each row in its own way.
            alike = np.clip(np.vecdot(self._vectors, self._vectors[row]), 0.0, 1.0)
            np.maximum(self._likeness, alike, out=self._likeness)
        if self._sellers is not None and self._sellers[row] >= 0:
            self._above += self._sellers == self._sellers[row]

    def by_score(self) -> Iterator[Ranked]:
        scores = self._total / self._whole
        best = self._rows[np.argsort(-scores[self._rows], kind="stable")]
        for row in best[self._open[best]].tolist():
            yield self._ranked(row, scores[row], None)

    def one_by_one(self) -> Iterator[Ranked]:
        while self._open.any():
            spread = self._spread()
            total = self._total
            if self._seller_weight:
                total = total + self._seller_weight * spread
            scores = total / self._whole
            row = self._best(scores)
            yield self._ranked(row, scores[row], spread[row])
            self.take(row)

    def _best(self, scores: Feature) -> int:
        strength = self._diversity.strength
        values = (1 - strength) * scores - strength * self._likeness
        allowed = self._open
        if self._diversity.per_seller is not None:
            under = allowed & (self._above < self._diversity.per_seller)
            # Those over the cap come when no other is left.
            allowed = under if under.any() else allowed
        rows = self._rows[allowed[self._rows]]
        return int(rows[np.argmax(values[rows])])

    def _spread(self) -> Feature:
        if self._sellers is None:
            return np.zeros(len(self._total))
        spread: Feature = np.where(self._sellers >= 0, 1 / (1 + self._above), 0.0)
        return spread

    def _ranked(self, row: int, score: np.float64, spread: np.float64 | None) -> Ranked:
        reasons = {part: float(values[row]) for part, values in self._features.items()}
        if self._seller_weight and spread is not None:
            reasons[RankPart.SELLER] = float(spread)
        return Ranked(row, float(score), reasons)


def _numbered(sellers: Sequence[str | None]) -> NDArray[np.int64]:
    """A number for each seller, -1 for one that is not known."""
    numbers: dict[str, int] = {}
    return np.array(
        [-1 if one is None else numbers.setdefault(one, len(numbers)) for one in sellers], np.int64
    )
