"""Where things were shown, in ranges that are looked at alike. Pure."""

from typing import Final

import numpy as np

from models.ranking.choices import NO_POSITION, Integers

BUCKETS: Final = np.array([*range(10), 12, 14, 17, 20, 30, 40, 60])
"""The first positions of the ranges that have one factor each: within a range what is shown higher
up would gain from it."""


def buckets_of(positions: Integers) -> Integers:
    """The range of each position (n,), -1 where there was no list."""
    found = np.searchsorted(BUCKETS, positions, side="right") - 1
    return np.where(positions == NO_POSITION, -1, np.maximum(found, 0))
