"""Several positive and negative examples as one query.

A single positive is queried by each of its photos, and a result scores by the nearest of them, as
in ColBERT's MaxSim (Khattab and Zaharia, 2020), because each photo shows another side.
Several positives, or any negative, become one vector, after Rocchio's relevance feedback (1971):
the mean of the positives, less a part of the mean of the negatives.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.errors import InvalidInput

NEGATIVE_SHARE: Final = 0.2
"""How much a negative counts beside a positive: as with Manning, Raghavan and Schütze's 0.15 to
0.75, and what finds most of the right category here (docs/decisions/0016-fusion.md)."""

# The sum of vectors that cancel out is only rounding error.
NOTHING: Final = 1e-4


def fuse(
    positives: Sequence[NDArray[np.float32]], negatives: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """The unit vectors (n, dimension) to search by; a photo is as near as to the nearest of them.

    Each positive and negative is the vectors (m, dimension) of one thing's photos, and counts as
    one, however many it has. Raises InvalidInput if they cancel each other out.
    """
    if len(positives) == 1 and not negatives:
        return positives[0]
    wanted = _mean(positives)
    if negatives:
        wanted -= NEGATIVE_SHARE * _mean(negatives)
    length = np.linalg.norm(wanted)
    if length < NOTHING:
        raise InvalidInput("What is to be found and what is not cancel each other out.")
    return (wanted / length)[np.newaxis].astype(np.float32)


def _mean(things: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """The mean of the things' directions: a listing of many photos weighs no more than a photo."""
    means = np.stack([vectors.mean(axis=0, dtype=np.float64) for vectors in things])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    directions = np.divide(means, lengths, out=np.zeros_like(means), where=lengths > NOTHING)
    mean: NDArray[np.float64] = directions.mean(axis=0)
    return mean
