"""Whether learned weights may be used: measured on what users chose later. Pure."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from models.domain.errors import InvalidInput
from models.domain.searches.options import RankWeights
from models.evaluation.intervals import Estimate, Means, cluster_means
from models.ranking.choices import TOP, Choices, Doubles, discounted
from models.ranking.learning import Learned, buckets_of

MIN_CHOICES: Final = 200
"""Choices, of each part in time, under which nothing is learned: fewer decide nothing."""
MIN_USERS: Final = 20
LEAST_PROPENSITY: Final = 0.1
"""A choice at a place that is looked at less often counts as at this one: few would decide all."""


@dataclass(frozen=True, slots=True)
class Trial:
    """nDCG@20 of later choices with the weights in use and with learned ones, by user.

    `refusal` says why the learned ones may not be used, None if they may.
    """

    choices: int
    users: int
    in_use: Estimate
    learned: Estimate
    gain: Estimate

    @property
    def refusal(self) -> str | None:
        """None where the whole interval of the difference is above 0."""
        if self.gain.low > 0:
            return None
        return (
            f"they are no better than those in use: nDCG@{TOP} {self.learned.value:.4f} against "
            f"{self.in_use.value:.4f}, {shown(self.gain)} on later choices."
        )


def shown(gain: Estimate) -> str:
    """A difference with its interval."""
    return f"{gain.value:+.4f} ({gain.low:+.4f} … {gain.high:+.4f})"


def require_enough(choices: Choices, what: str) -> None:
    """Raise InvalidInput unless there are enough choices of enough users. `what` names them."""
    users = len(np.unique(choices.users))
    if choices.chosen < MIN_CHOICES or users < MIN_USERS:
        raise InvalidInput(
            f"Weights are learned from {MIN_CHOICES} choices of {MIN_USERS} users at least, and "
            f"tried on as many later ones; there are {choices.chosen:,} {what} choices of "
            f"{users:,} users."
        )


def try_weights(later: Choices, learned: Learned, in_use: RankWeights, *, seed: int = 0) -> Trial:
    """Compare on choices that nothing was learned from, at least one; users are drawn by `seed`."""
    gains, worth = _by_place(later, learned.propensities)
    values = [worth * ndcg(later, gains, weights) for weights in (in_use, learned.weights)]
    sums = cluster_means(
        np.stack([*values, worth], axis=1), later.users, np.random.default_rng(seed)
    )
    means = Means(
        sums.observed[:2] / sums.observed[2], sums.resampled[:, :2] / sums.resampled[:, 2:]
    )
    return Trial(
        choices=later.chosen,
        users=len(np.unique(later.users)),
        in_use=means.of(0),
        learned=means.of(1),
        gain=means.difference(1, 0),
    )


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
    """Gains (n,) by the inverse of how often their places are looked at; what groups (g,) count.

    So the order that was shown gains nothing from having been shown: the self-normalised estimate
    of Swaminathan and Joachims (2015).
    """
    buckets = buckets_of(choices.positions)
    looked_at = np.where(buckets < 0, 1.0, np.maximum(propensities[buckets], LEAST_PROPENSITY))
    gains = choices.gains / looked_at
    sums = np.bincount(choices.groups, gains, minlength=len(choices))
    before = np.bincount(choices.groups, choices.gains, minlength=len(choices))
    return gains, np.divide(sums, before, out=np.ones(len(choices)), where=before > 0)
