"""Numbers counted in bands: from an edge on and below the next."""

from math import floor, log10
from typing import Final

import numpy as np
from numpy.typing import NDArray

_STEPS: Final = (5, 2, 1)


def counts_between(
    numbers: NDArray[np.float64] | NDArray[np.int64], edges: list[float]
) -> list[int]:
    """How many of the sorted numbers are below each edge and above the one before, and the rest."""
    places = np.searchsorted(numbers, np.array(edges, np.float64), side="left")
    counts: list[int] = np.diff(places, prepend=0, append=len(numbers)).tolist()
    return counts


def round_edges(
    numbers: NDArray[np.float64] | NDArray[np.int64], bands: int, least_step: float = 0.0
) -> list[float]:
    """Ascending edges near the quantiles of sorted numbers, that make about so many bands.

    Each is a multiple of the greatest step of 1, 2 or 5 times a power of ten that is up to half the
    distance to the next quantile on either side; `least_step` is the least step. Fewer where many
    numbers are equal. What is below the first edge, or not below the last one, is a band as well.
    """
    if not len(numbers):
        return []
    places = np.arange(1, bands) * len(numbers) // bands
    quantiles = np.unique(numbers[places]).tolist()
    lowest, highest = float(numbers[0]), float(numbers[-1])
    around = [lowest, *quantiles, highest]
    edges: list[float] = []
    for before, quantile, after in zip(around, around[1:], around[2:], strict=False):
        # The first and the last may equal the least and the greatest number.
        gap = min(gap for gap in (quantile - before, after - quantile, np.inf) if gap > 0)
        step = max(_step(gap / 2), least_step) if np.isfinite(gap) else 0.0
        edges.append(_rounded(quantile, step))
    # Rounding may have taken an edge beyond all numbers on one side, or past the next one.
    edges = sorted(set(edges))
    while edges and not counts_between(numbers, edges)[-1]:
        edges.pop()
    counts = counts_between(numbers, edges)
    return [edge for edge, below in zip(edges, counts, strict=False) if below]


def _step(most: float) -> float:
    """The greatest of 1, 2 and 5 times a power of ten that is not over this."""
    power = 10.0 ** floor(log10(most))
    return next((step * power for step in _STEPS if step * power <= most), power)


def _rounded(number: float, step: float) -> float:
    if not step:
        return number
    # Not a binary fraction's digits, as in 0.30000000000000004.
    digits = max(0, -floor(log10(step)))
    return round(round(number / step) * step, digits)
