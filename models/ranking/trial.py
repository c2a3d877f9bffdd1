"""Whether learned weights may be used: measured on what users chose later. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.domain.errors import InvalidInput
from models.domain.searches.options import RankWeights
from models.evaluation.intervals import Estimate, Means, cluster_means
from models.ranking.choices import TOP, Choices
from models.ranking.learning import Learned
from models.ranking.ndcg import ndcg_of

MIN_CHOICES: Final = 200
"""Choices, of each part in time, under which nothing is learned: fewer decide nothing."""
MIN_USERS: Final = 20


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
    both = [ndcg_of(later, one, learned.propensities) for one in (in_use, learned.weights)]
    columns = [*(one.worth * one.values for one in both), both[0].worth]
    rng = np.random.default_rng(seed)
    sums = cluster_means(np.stack(columns, axis=1), later.users, rng)
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
