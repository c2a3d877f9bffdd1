"""Fidelity of an exported network's vectors to those of its source network."""

from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.evaluation.intervals import Estimate, cluster_means
from models.evaluation.retrieval_metrics import answerable, retrieve


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over every photo that can be answered, in [0, 1]; see `retrieve`."""

    precision_at_1: float
    mean_average_precision: float


@dataclass(frozen=True, slots=True)
class Change:
    """By how much the exported network's means are higher, of the same searches."""

    precision_at_1: Estimate
    mean_average_precision: Estimate


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Two encoders' vectors of the same photos compared.

    Cosines are between the two vectors of one photo. The qualities and their change are None where
    no two listings share a category.
    """

    photos: int
    cosine_mean: float
    cosine_min: float
    reference: Quality | None
    exported: Quality | None
    change: Change | None

    def facts(self) -> dict[str, object]:
        """The figures for a manifest."""
        return asdict(self)


def fidelity(
    reference: NDArray[np.float32],
    exported: NDArray[np.float32],
    listings: NDArray[np.int64] | None = None,
    categories: NDArray[np.int64] | None = None,
) -> Fidelity:
    """Compare unit vectors (n, dimension) of the same photos, with their labels if they are known.

    A photo in which both find nothing, a row of zeros in both, counts as a cosine of 1.
    """
    cosines = np.einsum("nd,nd->n", reference, exported)
    cosines[~(reference.any(axis=1) | exported.any(axis=1))] = 1
    of_cosines = Fidelity(
        len(cosines), float(cosines.mean()), float(cosines.min()), None, None, None
    )
    if listings is None or categories is None:
        return of_cosines
    queries = answerable(listings, categories)
    if not len(queries):
        return of_cosines
    before, after = (
        retrieve(vectors, listings, categories, queries) for vectors in (reference, exported)
    )
    columns = [
        before.precision_at_1,
        after.precision_at_1,
        before.average_precision,
        after.average_precision,
    ]
    means = cluster_means(
        np.stack(columns, axis=1).astype(np.float64), listings[queries], np.random.default_rng(0)
    )
    values = means.observed.tolist()
    return replace(
        of_cosines,
        reference=Quality(values[0], values[2]),
        exported=Quality(values[1], values[3]),
        change=Change(means.difference(1, 0), means.difference(3, 2)),
    )
