"""Learns a linear map from vectors and their categories, in seconds.

The map has two blocks. The first keeps how things look: directions in which all photos differ are
evened out (whitening), so that none of them, such as the background, leads alone. The second is
Fisher's linear discriminant of the categories (Hastie et al., "The Elements of Statistical
Learning", 2009, section 4.3), with the shrinkage that few photos of many numbers need. Decision
0021 compares the alternatives.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.adaptation.adaptation import Adaptation

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

COMPONENTS: Final = 512
"""Principal components in which everything is learned; the others hold next to nothing."""
DIMENSION: Final = 512
"""Numbers of an adapted vector at most: of both blocks."""
LOOK_SHRINKAGE: Final = 0.5
KIND_SHRINKAGE: Final = 0.4
KIND_DIMENSION: Final = 128
"""The most discriminants; catalogues with fewer categories have one less than those."""
KIND_SHARE: Final = 0.4
"""The categories' share of a similarity."""

ROWS_AT_ONCE: Final = 8_192


def learn(vectors: Floats, categories: Integers) -> Adaptation:
    """The map for unit vectors (n, dimension) of photos of numbered categories (n,).

    There must be two categories at least. The same input gives the same map.
    """
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    variances, axes = _principal(_scatter(vectors, mean[None], np.zeros(len(vectors), np.int64)))
    components = axes.astype(np.float32)
    reduced = np.concatenate([(rows - mean) @ components for rows in _blocks(vectors)])
    kind = _discriminants(reduced, categories)
    look = _whitening(variances, DIMENSION - kind.shape[1])
    matrix = axes @ np.hstack([look, kind])
    return Adaptation(
        matrix.astype(np.float32),
        mean,
        (look.shape[1], kind.shape[1]),
        (float(np.sqrt(1 - KIND_SHARE)), float(np.sqrt(KIND_SHARE))),
    )


def _principal(scatter: Doubles) -> tuple[Doubles, Doubles]:
    """The largest variances (k,) and their axes (dimension, k)."""
    variances, axes = np.linalg.eigh(scatter)
    # Directions without variance can't be scaled to have some.
    kept = min(COMPONENTS, int((variances > variances[-1] * 1e-6).sum()))
    return variances[::-1][:kept], np.ascontiguousarray(axes[:, ::-1][:, :kept])


def _whitening(variances: Doubles, most: int) -> Doubles:
    """Scales the first components to more equal variances: (components, at most `most`)."""
    first = variances[:most]
    scales = 1 / np.sqrt((1 - LOOK_SHRINKAGE) * first + LOOK_SHRINKAGE * first.mean())
    scaled: Doubles = np.eye(len(variances), len(first)) * scales
    return scaled


def _discriminants(reduced: Floats, categories: Integers) -> Doubles:
    """The directions that tell categories apart best: (components, categories - 1)."""
    _, numbers, counts = np.unique(categories, return_inverse=True, return_counts=True)
    means = _means(reduced, numbers, len(counts))
    within = _scatter(reduced, means.astype(np.float32), numbers)
    size = len(within)
    shrunk = (1 - KIND_SHRINKAGE) * within + KIND_SHRINKAGE * np.trace(within) / size * np.eye(size)
    whitening = _inverse_root(shrunk)
    shares = counts / counts.sum()
    centred = means - shares @ means
    between = (centred * shares[:, None]).T @ centred
    values, directions = np.linalg.eigh(whitening @ between @ whitening)
    count = min(len(counts) - 1, KIND_DIMENSION, int((values > values[-1] * 1e-6).sum()))
    found: Doubles = whitening @ directions[:, ::-1][:, :count]
    return found


def _inverse_root(matrix: Doubles) -> Doubles:
    values, vectors = np.linalg.eigh(matrix)
    root: Doubles = (vectors / np.sqrt(np.maximum(values, values[-1] * 1e-12))) @ vectors.T
    return root


def _means(rows: Floats, numbers: Integers, count: int) -> Doubles:
    sums = np.zeros((count, rows.shape[1]))
    np.add.at(sums, numbers, rows)
    means: Doubles = sums / np.bincount(numbers, minlength=count)[:, None]
    return means


def _scatter(rows: Floats, means: Floats, numbers: Integers) -> Doubles:
    """The mean outer product of rows (n, d) less the means (groups, d) of their groups: (d, d)."""
    total = np.zeros((rows.shape[1], rows.shape[1]))
    start = 0
    for block in _blocks(rows):
        apart = block - means[numbers[start : start + len(block)]]
        total += apart.T @ apart
        start += len(block)
    return total / len(rows)


def _blocks(rows: Floats) -> Iterator[Floats]:
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE]
