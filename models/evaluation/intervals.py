"""Confidence intervals of means: the bootstrap, clustered by listing.

The results of one listing's photos are correlated, so listings are drawn with replacement instead
of photos. Davison and Hinkley, "Bootstrap Methods and their Application", 1997, sections
3.8 and 5.3.1; the intervals are the percentile ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 4_000
CONFIDENCE: Final = 0.95
Z: Final = 1.96
"""Standard deviations of a normal distribution within which it lies that often."""

# How often each listing was drawn, of so many listings and draws at once: 32 MB.
CELLS_AT_ONCE: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, and the ends of its 95% interval."""

    value: float
    low: float
    high: float


def span(estimate: Estimate, sign: str = "", digits: int = 3) -> str:
    """The ends of a figure's interval as text; `sign` is `+` to show their sign."""
    return f"{estimate.low:{sign}.{digits}f} … {estimate.high:{sign}.{digits}f}"


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """Means of several columns (m,), observed and in each draw, (4000, m).

    All columns are of the same draws, so that differences between them are paired.
    """

    observed: NDArray[np.float64]
    resampled: NDArray[np.float64]

    def of(self, column: int) -> Estimate:
        """One column's mean."""
        return _estimate(self.observed[column], self.resampled[:, column])

    def difference(self, column: int, other: int) -> Estimate:
        """How much more one column's mean is than another's."""
        return _estimate(
            self.observed[column] - self.observed[other],
            self.resampled[:, column] - self.resampled[:, other],
        )


def _estimate(value: np.float64, resampled: NDArray[np.float64]) -> Estimate:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high))


def cluster_means(
    values: NDArray[np.float64], listings: NDArray[np.int64], rng: np.random.Generator
) -> Means:
    """The means of the columns of `values` (q, m), of rows that belong to `listings` (q,).

    q is at least 1. Where all rows are the same, as those of a single listing may be, so are all
    draws: the interval is a point, which says how few rows there were and not how sure it is.
    """
    _, number, rows = np.unique(listings, return_inverse=True, return_counts=True)
    totals = np.stack([np.bincount(number, column) for column in values.T], axis=1)
    share = np.full(len(rows), 1 / len(rows))
    at_once = max(1, CELLS_AT_ONCE // len(rows))
    means = []
    for start in range(0, RESAMPLES, at_once):
        drawn = rng.multinomial(len(rows), share, size=min(at_once, RESAMPLES - start))
        means.append((drawn @ totals) / (drawn @ rows)[:, None])
    return Means(values.mean(axis=0), np.concatenate(means))


def mean_of(parts: Sequence[Means]) -> Means:
    """The mean of the parts' means, each counting the same; the parts were drawn separately."""
    return Means(
        np.mean([part.observed for part in parts], axis=0),
        np.mean([part.resampled for part in parts], axis=0),
    )


def wilson(share: float, count: int, z: float = Z) -> tuple[float, float]:
    """The ends of the interval of a share of so many: Wilson's (1927).

    Unlike a bootstrap's it is none of a single point where the share is 0 or 1. `z` is how many
    standard deviations it reaches. A share of nothing is anything from 0 to 1.
    """
    if count == 0:
        return 0.0, 1.0
    spread = z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * sqrt(share * (1 - share) / count + spread / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)
