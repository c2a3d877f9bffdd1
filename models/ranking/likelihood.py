"""How likely choices are by weights, and by where things were shown. Pure."""

from typing import Final

import numpy as np
from scipy.special import expit

from models.domain.searches.options import RankWeights
from models.ranking.choices import Choices, Doubles
from models.ranking.positions import BUCKETS, buckets_of

PRIOR: Final = 1.0
"""The precision of the prior of a weight: by how much the logarithm of the odds differs between a
part of 0 and of 1."""
SCALE_PRIOR: Final = 0.001
"""The same along the direction of the weights in use, which says how decided choices are."""
POSITION_PRIOR: Final = 0.1
"""The same of the logarithm of a position's factor."""

# Rows whose products are made at once, as double precision: some 50 MB.
ROWS_AT_ONCE: Final = 500_000


def spread_of(choices: Choices) -> Doubles:
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


class Likelihood:
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
        """The loss and its gradient."""
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
