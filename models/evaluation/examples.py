"""Example queries: some drawn at random, and those in which encoders differ most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.evaluation.compare import Comparison

RANDOM_QUERIES: Final = 8
DIFFERING_QUERIES: Final = 6


@dataclass(frozen=True, slots=True)
class Examples:
    """Some queries, as rows of each search, and why they are shown."""

    title: str
    rows: Sequence[int]


def choose_examples(comparison: Comparison) -> list[Examples]:
    """Queries drawn by the comparison's seed; of each further encoder, its gains and losses.

    Those are by the difference in average precision to the first encoder, the largest first.
    """
    first, *others = comparison.searches
    queries = len(first.queries)
    rng = np.random.default_rng(comparison.seed)
    drawn = np.sort(rng.choice(queries, min(RANDOM_QUERIES, queries), replace=False))
    chosen = [Examples("Drawn at random", drawn.tolist())]
    for encoder, search in zip(comparison.encoders[1:], others, strict=True):
        gains = search.average_precision - first.average_precision
        compared = f"{encoder.label} finds {{}} than {comparison.encoders[0].label}"
        chosen.append(Examples(f"Where {compared.format('most more')}", _largest(gains)))
        chosen.append(Examples(f"Where {compared.format('most less')}", _largest(-gains)))
    return chosen


def _largest(differences: NDArray[np.float64]) -> list[int]:
    order = np.argsort(-differences, kind="stable")[:DIFFERING_QUERIES]
    return [int(row) for row in order if differences[row] > 0]
