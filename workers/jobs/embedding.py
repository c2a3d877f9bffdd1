"""The embedding job: gives the vector of a photo."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Finer than half precision, in which the catalogue keeps its vectors.
EMBEDDING_DECIMALS: Final = 6


def shown_vector(vector: NDArray[np.float32]) -> tuple[float, ...]:
    """The numbers of a vector (dimension,) as they are answered."""
    return tuple(round(value, EMBEDDING_DECIMALS) for value in vector.tolist())
