"""What every vector has to be before it is indexed or searched, and how it is kept."""

import numpy as np
from numpy.typing import NDArray

from models.domain.errors import InvalidInput

# Numbers in half precision are off by at most this part of themselves, and so is a vector's length.
HALF_PRECISION = 2.0**-11
UNIT_TOLERANCE = 1e-3

AT_REST = np.dtype("<f2")
"""In what vectors are kept: half the bytes, and cosines that differ in the fifth decimal."""


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


def from_rest(rows: NDArray[np.float16]) -> NDArray[np.float32]:
    """The unit vectors (n, dimension) that were kept as `rows` (n, dimension).

    Wherever a vector comes from, the database or a generation, it is the same to the last bit.
    """
    vectors = widened(rows)
    # Rounding moved their lengths a little.
    vectors /= np.sqrt(np.vecdot(vectors, vectors))[:, np.newaxis]
    return vectors


def widened(rows: NDArray[np.float16]) -> NDArray[np.float32]:
    """`rows` in single precision, exactly, if they are finite: a copy.

    NumPy's own conversion goes number by number, and was most of what scoring candidates took.
    """
    # A half's exponent and fraction are a float's, 13 bits lower; its exponent counts from 15, not
    # from 127, hence the product. The sign was copied into bits that are masked out.
    bits = rows.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= ~np.int32(0x7000_0000)
    vectors = bits.view(np.float32)
    vectors *= np.float32(2.0**112)
    return vectors


def as_kept(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """What `vectors` (n, dimension) will be once they were kept; those that were are unchanged."""
    return from_rest(vectors.astype(AT_REST))


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
