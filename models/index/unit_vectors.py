"""What a vector has to be before it is indexed or searched, and how vectors are compared."""

import numpy as np
from numpy.typing import NDArray

from models.domain.errors import InvalidInput

UNIT_TOLERANCE = 1e-3
"""How far from 1 a vector's length may be."""


def as_query(query: NDArray[np.floating], dimension: int) -> NDArray[np.float32]:
    """`query` as contiguous float32 of shape (dimension,).

    Raises InvalidInput if it has another shape, is not finite or not of unit length.
    """
    if query.shape != (dimension,):
        raise InvalidInput(f"A query vector has {dimension} numbers, this one {query.shape}.")
    vector = _as_float32(query)
    if _off_unit(vector[np.newaxis])[0]:
        raise InvalidInput("A query vector has to be finite and of unit length.")
    return vector


def as_rows(
    ids: NDArray[np.int64], vectors: NDArray[np.floating], dimension: int
) -> NDArray[np.float32]:
    """`vectors` as contiguous float32 of shape (len(ids), dimension), row i being photo ids[i]'s.

    Raises InvalidInput if they have another shape, or naming the first photo whose vector is not
    finite or not of unit length.
    """
    if ids.ndim != 1 or vectors.shape != (len(ids), dimension):
        raise InvalidInput(
            f"{ids.shape} photos need as many vectors of {dimension} numbers, not {vectors.shape}."
        )
    rows = _as_float32(vectors)
    bad = ids[_off_unit(rows)]
    if bad.size:
        raise InvalidInput(f"The vector of photo {bad[0]} is not finite and of unit length.")
    return rows


def cosines(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inner products (n,) of unit `vectors` (n, dimension) with `query` (dimension,)."""
    # A matrix product would score equal rows differently, by where they stand in a BLAS block.
    products: NDArray[np.float32] = np.vecdot(vectors, query)
    return products


def _as_float32(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # becomes infinite, and is refused as such
        return np.ascontiguousarray(vectors, dtype=np.float32)


def _off_unit(rows: NDArray[np.float32]) -> NDArray[np.bool_]:
    with np.errstate(over="ignore", invalid="ignore"):
        norms: NDArray[np.float32] = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        return ~(np.abs(norms - 1) <= UNIT_TOLERANCE)  # the negation catches NaN
