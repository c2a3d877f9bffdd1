"""How well weights order what was chosen, whatever place it was shown at. Pure.

Normalised discounted cumulative gain (Järvelin and Kekäläinen, 2002) of the first 20.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from models.domain.searches.options import RankWeights
from models.ranking.choices import Choices, Doubles, discounted
from models.ranking.positions import buckets_of

LEAST_PROPENSITY: Final = 0.1
"""A choice at a place that is looked at less often counts as at this one: few would decide all."""


@dataclass(frozen=True, slots=True, eq=False)
class Ndcg:
    """nDCG@20 of each group (g,), and how much each group counts (g,)."""

    values: Doubles
    worth: Doubles

    @property
    def mean(self) -> float:
        """Of all groups, of which there is one at least."""
        return float(self.values @ self.worth / self.worth.sum())


def ndcg_of(choices: Choices, weights: RankWeights, propensities: Doubles) -> Ndcg:
    """nDCG@20 by these weights.

    What was chosen from a list counts by the inverse of how often its place is looked at, so that
    the order that was shown gains nothing from having been shown: the self-normalised estimate of
    Swaminathan and Joachims (2015).
    """
    gains, worth = _by_place(choices, propensities)
    return Ndcg(ndcg(choices, gains, weights), worth)


def ndcg(choices: Choices, gains: Doubles, weights: RankWeights) -> Doubles:
    """nDCG@20 of each group (g,), ordered by these weights, of these gains of its candidates (n,).

    What was chosen and is no candidate counts as not found.
    """
    used = np.array([weights.of(part) for part in choices.parts])
    scores = choices.features.astype(np.float64) @ used
    values = np.zeros(len(choices))
    for group, (start, end) in enumerate(pairwise(choices.starts.tolist())):
        own = gains[start:end]
        best = discounted(np.sort(np.append(own, choices.missed[group]))[::-1])
        values[group] = discounted(own[np.argsort(-scores[start:end], kind="stable")]) / best
    return values


def _by_place(choices: Choices, propensities: Doubles) -> tuple[Doubles, Doubles]:
    """Gains (n,) by the inverse of how often their places are looked at; what groups (g,) count."""
    buckets = buckets_of(choices.positions)
    looked_at = np.where(buckets < 0, 1.0, np.maximum(propensities[buckets], LEAST_PROPENSITY))
    gains = choices.gains / looked_at
    sums = np.bincount(choices.groups, gains, minlength=len(choices))
    before = np.bincount(choices.groups, choices.gains, minlength=len(choices))
    return gains, np.divide(sums, before, out=np.ones(len(choices)), where=before > 0)
