"""How vectors are stored, in the database and in indexes. NumPy only.

Stored is little-endian float16: half the bytes of float32, and cosines that differ in the fifth
decimal. Whoever reads stored vectors normalises them again in one way, `from_stored`, so that a
vector is the same to the last bit wherever it was read.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

STORED_DTYPE: Final = np.dtype("<f2")

HALF_PRECISION: Final = 2.0**-11
"""The largest relative error of a number, and of a vector's length, that is stored."""


def to_stored(vectors: NDArray[np.float32]) -> NDArray[np.float16]:
    """Unit vectors (..., dimension) as they are stored: C-contiguous if `vectors` are."""
    return vectors.astype(STORED_DTYPE)


def from_stored(rows: NDArray[np.float16]) -> NDArray[np.float32]:
    """The unit vectors (n, dimension) that were stored as `rows` (n, dimension)."""
    vectors = half_to_float32(rows)
    # Rounding changed their lengths a little.
    vectors /= np.sqrt(np.vecdot(vectors, vectors))[:, np.newaxis]
    return vectors


def as_stored(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """What `vectors` (n, dimension) are after storing and reading; idempotent."""
    return from_stored(to_stored(vectors))


def half_to_float32(rows: NDArray[np.float16]) -> NDArray[np.float32]:
    """`rows` in single precision, exactly, if they are finite: a copy.

    NumPy converts number by number, which was most of the time that scoring candidates took.
    """
    # A half's exponent and fraction are a float's, 13 bits lower; its exponent counts from 15, not
    # from 127, hence the product. The sign was copied into bits that are masked out.
    bits = rows.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= ~np.int32(0x7000_0000)
    vectors = bits.view(np.float32)
    vectors *= np.float32(2.0**112)
    return vectors
