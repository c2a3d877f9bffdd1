"""Fidelity of an exported network's vectors to those of its source network."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from models.evaluation.retrieval_metrics import answerable, retrieve


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over every photo that can be answered, in [0, 1]; see `retrieve`."""

    precision_at_1: float
    mean_average_precision: float


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Two encoders' vectors of the same photos compared.

    Cosines are between the two vectors of one photo. The qualities are None where no two listings
    share a category.
    """

    photos: int
    cosine_mean: float
    cosine_min: float
    reference: Quality | None
    exported: Quality | None

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
    before = after = None
    if listings is not None and categories is not None:
        before, after = (
            _quality(vectors, listings, categories) for vectors in (reference, exported)
        )
    return Fidelity(len(cosines), float(cosines.mean()), float(cosines.min()), before, after)


def _quality(
    vectors: NDArray[np.float32], listings: NDArray[np.int64], categories: NDArray[np.int64]
) -> Quality | None:
    queries = answerable(listings, categories)
    if not len(queries):
        return None
    found = retrieve(vectors, listings, categories, queries)
    return Quality(float(found.precision_at_1.mean()), float(found.average_precision.mean()))
