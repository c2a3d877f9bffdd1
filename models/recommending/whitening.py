"""Vectors in which every direction that a catalogue differs in counts about alike.

Two photos of a network for recognising things are alike first by what nearly all photos differ in,
such as the background and the pose. With the mean taken away and the variances of the principal
components made equal (PCA whitening), likeness says which of two things is like the other:
docs/decisions/0040-recommending.md has what that gains.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]

COMPONENTS: Final = 384
SHRINKAGE: Final = 0.1
"""How far each variance is moved towards their mean, before it is made 1."""
MIN_SAMPLE: Final = 500
"""Of fewer vectors, the variances say more of the sample than of the catalogue."""
MAX_SAMPLE: Final = 20_000
"""More vectors change nothing that can be measured."""

_NOTHING: Final = 1e-6
_BLOCK: Final = 1_024


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """A map of unit vectors (n, dimension) to whitened ones (n, components).

    `offset` (dimension,) is subtracted, the rest multiplied by `matrix` (dimension, components).
    """

    offset: Rows
    matrix: Rows

    @classmethod
    def fit(cls, vectors: Rows) -> Self | None:
        """The map for a sample (n, dimension) of a catalogue's vectors, None if it is too small.

        The same sample gives the same map. Takes a second for 1,280 numbers.
        """
        if len(vectors) < MIN_SAMPLE:
            return None
        sample = vectors[:MAX_SAMPLE]
        offset = sample.mean(axis=0, dtype=np.float64)
        variances, axes = np.linalg.eigh(_covariance(sample, offset))
        kept = int((variances > variances[-1] * _NOTHING).sum())
        kept = min(kept, COMPONENTS)
        if not kept:
            return None
        variances, axes = variances[::-1][:kept], axes[:, ::-1][:, :kept]
        shrunk = (1 - SHRINKAGE) * variances + SHRINKAGE * variances.mean()
        return cls(offset.astype(np.float32), (axes / np.sqrt(shrunk)).astype(np.float32))

    def apply(self, vectors: Rows) -> Rows:
        """Unit rows (n, components) of unit vectors (n, dimension)."""
        # The offset is mapped by itself: subtracted from the vectors, it would copy them.
        mapped = vectors @ self.matrix - self.offset @ self.matrix
        return unit_rows(mapped.astype(np.float32, copy=False))


def _covariance(sample: Rows, offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """The covariances (dimension, dimension) of a sample with this mean; a block at a time."""
    covariance = np.zeros((sample.shape[1], sample.shape[1]))
    for start in range(0, len(sample), _BLOCK):
        centred = sample[start : start + _BLOCK] - offset
        covariance += centred.T @ centred
    return covariance / len(sample)


def unit_rows(vectors: Rows) -> Rows:
    """Each row scaled to length 1; rows of zeros stay as they are."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Rows = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > _NOTHING)
    return scaled
