"""The weights of a ranking, learned from what users chose.

The model is the conditional logit (McFadden, 1974), whose likelihood learning to rank knows as the
listwise softmax loss (ListNet: Cao et al., 2007): of the things that were there, one is chosen with
a chance proportional to exp(w · features). Weights are not negative, so that each part speaks for a
listing and a score stays the weighted mean of its reasons.

Where things were shown as a list, people look at the upper ones more often. The position is a
feature while it is learned, a factor for each range of positions that multiplies the chance, and is
left out of what is served (Craswell et al., 2008; "position bias" in Joachims et al., 2017).

What the choices say little about stays as it is in use: differences from the direction of the
weights in use are penalised, as by a normal prior. So parts that hardly vary, or not at all, keep
their weight relative to the rest, instead of one that would decide all where they vary once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from models.domain.errors import InvalidInput
from models.domain.searches.options import RankPart, RankWeights
from models.ranking.choices import NO_POSITION, Choices, Doubles, Integers

BUCKETS: Final = np.array([*range(10), 12, 14, 17, 20, 30, 40, 60])
"""The first positions of the ranges that have one factor each: within a range what is shown higher
up would gain from it."""

PRIOR: Final = 1.0
"""The precision of the prior of a weight: by how much the logarithm of the odds differs between a
part of 0 and of 1."""
SCALE_PRIOR: Final = 0.001
"""The same along the direction of the weights in use, which says how decided choices are."""
POSITION_PRIOR: Final = 0.1
"""The same of the logarithm of a position's factor."""

CONSTANT: Final = 1e-6
"""The standard deviation within groups under which a part is the same for all."""
DIGITS: Final = 4
"""Of a weight, whose greatest is 1: finer differences change no order worth mentioning."""

# Rows whose products are made at once, as double precision: some 50 MB.
ROWS_AT_ONCE: Final = 500_000


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """Weights, and how much each position was looked at.

    `propensities` (b,) are relative to the most looked-at range of `BUCKETS`; 1 where no list was
    shown. `positions` are the first ones of the ranges in which something was shown, `varying` the
    parts that choices could say something about.
    """

    weights: RankWeights
    propensities: Doubles
    positions: tuple[int, ...]
    varying: tuple[RankPart, ...]


def learn(choices: Choices, in_use: RankWeights) -> Learned:
    """The weights that make the choices likeliest, beside those in use.

    The same choices give the same weights. Raises InvalidInput if they say nothing about any part.
    """
    spread = _spread(choices)
    if not (spread > CONSTANT).any() or not choices.chosen:
        raise InvalidInput("All candidates are alike: no choice says anything about the weights.")
    likelihood = _Likelihood(choices, spread, in_use)
    fitted = minimize(
        likelihood,
        likelihood.start,
        jac=True,
        method="L-BFGS-B",
        bounds=likelihood.bounds,
        options={"maxiter": 500, "maxcor": 20, "ftol": 1e-12, "gtol": 1e-6},
    ).x
    weights, factors = likelihood.parts_of(fitted)
    scale = likelihood.scale(weights)
    learned = dict(zip(choices.parts, weights.tolist(), strict=True))
    kept = {part: scale * in_use.of(part) for part in RankPart if part not in learned}
    seen = np.unique(buckets_of(choices.positions))
    return Learned(
        _normalised({**kept, **learned}),
        np.exp(factors - factors.max()),
        tuple(BUCKETS[seen[seen >= 0]].tolist()),
        tuple(part for part, of in zip(choices.parts, spread, strict=True) if of > CONSTANT),
    )


def buckets_of(positions: Integers) -> Integers:
    """The range of each position (n,), -1 where there was no list."""
    found = np.searchsorted(BUCKETS, positions, side="right") - 1
    return np.where(positions == NO_POSITION, -1, np.maximum(found, 0))


def _spread(choices: Choices) -> Doubles:
    """How much each part (p,) varies within groups: the root of the mean variance."""
    counts = np.diff(choices.starts)
    total = np.zeros(choices.features.shape[1])
    for start, end, rows in _blocks(choices):
        features = choices.features[rows].astype(np.float64)
        groups = np.repeat(np.arange(end - start), counts[start:end])
        for column, values in enumerate(features.T):
            size = np.maximum(counts[start:end], 1)
            means = np.bincount(groups, values, minlength=end - start) / size
            squares = np.bincount(groups, (values - means[groups]) ** 2, minlength=end - start)
            total[column] += (squares / size).sum()
    spread: Doubles = np.sqrt(total / max(1, len(choices)))
    return spread


def _blocks(choices: Choices) -> list[tuple[int, int, slice]]:
    """Ranges of groups, with their rows, that have `ROWS_AT_ONCE` rows or are one group."""
    blocks = []
    start = 0
    while start < len(choices):
        limit = choices.starts[start] + ROWS_AT_ONCE
        end = max(start + 1, int(np.searchsorted(choices.starts, limit, side="right")) - 1)
        rows = slice(int(choices.starts[start]), int(choices.starts[end]))
        blocks.append((start, end, rows))
        start = end
    return blocks


class _Likelihood:
    """The penalised negative log-likelihood, and its gradient, of scaled weights and factors."""

    def __init__(self, choices: Choices, spread: Doubles, in_use: RankWeights) -> None:
        self._choices = choices
        self._buckets = buckets_of(choices.positions)
        self._used = np.array([in_use.of(part) for part in choices.parts])
        # So scaled, all parameters are about as well known: the fewer steps are needed.
        self._unit = 1 / np.sqrt(spread**2 + PRIOR / max(1, choices.chosen))
        parts = len(self._used)
        # A weight of about 1 to begin with: the surface is flat far away from 0.
        length = float(np.linalg.norm(self._used))
        start = self._used / length if length else np.full(parts, 0.5)
        self.start: Doubles = np.concatenate([start / self._unit, np.zeros(len(BUCKETS))])
        self.bounds = [(0.0, None)] * parts + [(None, None)] * len(BUCKETS)

    def parts_of(self, parameters: Doubles) -> tuple[Doubles, Doubles]:
        """The weights (p,), and the logarithms of the positions' factors (b,)."""
        parts = len(self._used)
        return parameters[:parts] * self._unit, parameters[parts:]

    def scale(self, weights: Doubles) -> float:
        """By how much the weights in use are multiplied where nothing else is known."""
        square = float(self._used @ self._used)
        return float(self._used @ weights) / square if square else 0.0

    def __call__(self, parameters: Doubles) -> tuple[float, Doubles]:
        weights, factors = self.parts_of(parameters)
        away = weights - self.scale(weights) * self._used
        loss = (
            PRIOR * float(away @ away)
            + SCALE_PRIOR * float(weights @ weights)
            + POSITION_PRIOR * float(factors @ factors)
        ) / 2
        of_weights = PRIOR * away + SCALE_PRIOR * weights
        of_factors = POSITION_PRIOR * factors
        for start, end, rows in _blocks(self._choices):
            features = self._choices.features[rows].astype(np.float64)
            buckets = self._buckets[rows]
            is_shown = buckets >= 0
            utilities = features @ weights
            utilities[is_shown] += factors[buckets[is_shown]]
            share, of_utilities = self._block(start, end, rows, utilities)
            loss += share
            of_weights = of_weights + of_utilities @ features
            of_factors = of_factors + np.bincount(
                buckets[is_shown], of_utilities[is_shown], minlength=len(factors)
            )
        return loss, np.concatenate([of_weights * self._unit, of_factors])

    def _block(
        self, start: int, end: int, rows: slice, utilities: Doubles
    ) -> tuple[float, Doubles]:
        """The loss of groups from `start` to `end`, and its gradient by the utility of each row.

        Each thing that was chosen is one choice among it and all that were not.
        """
        gains = self._choices.gains[rows]
        groups = np.repeat(np.arange(end - start), np.diff(self._choices.starts[start : end + 1]))
        is_chosen = gains > 0
        top = np.full(end - start, -np.inf)
        np.maximum.at(top, groups[~is_chosen], utilities[~is_chosen])
        odds = np.where(
            is_chosen, 0.0, np.exp(utilities - np.where(is_chosen, np.inf, top[groups]))
        )
        totals = np.bincount(groups, odds, minlength=end - start)
        # Of nothing else to choose, -inf: such a choice is certain.
        others = top + np.log(np.where(totals > 0, totals, 1.0))
        margins = others[groups[is_chosen]] - utilities[is_chosen]
        worth = gains[is_chosen]
        unlikely = worth * expit(margins)
        gradient = np.zeros(len(utilities))
        gradient[is_chosen] = -unlikely
        pull = np.bincount(groups[is_chosen], unlikely, minlength=end - start)
        gradient += pull[groups] * np.divide(odds, np.where(totals > 0, totals, 1.0)[groups])
        return float((worth * np.logaddexp(0.0, margins)).sum()), gradient


def _normalised(weights: Mapping[RankPart, float]) -> RankWeights:
    """Weights of this direction, the greatest of which is 1."""
    greatest = max(weights.values(), default=0.0)
    if greatest <= 0:
        raise InvalidInput("What users chose speaks for none of the parts: there are no weights.")
    return RankWeights(
        **{part.value: round(weight / greatest, DIGITS) for part, weight in weights.items()}
    )
