"""Vectors newer than the generation, searched exactly."""

import numpy as np
from numpy.typing import NDArray

from models.index.unit_vectors import cosines

FIRST_CAPACITY = 64


class FreshVectors:
    """Photos' vectors in one contiguous matrix that grows by doubling."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self.clear()

    def __len__(self) -> int:
        return len(self._rows)

    def clear(self) -> None:
        """Remove all rows and release the memory."""
        self._rows: dict[int, int] = {}
        self._ids = np.empty(FIRST_CAPACITY, np.int64)
        self._vectors = np.empty((FIRST_CAPACITY, self._dimension), np.float32)

    def upsert(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add rows (n, dimension); a photo that is there already has its row replaced."""
        self._reserve(len(self._rows) + len(ids))
        for photo_id, vector in zip(ids.tolist(), vectors, strict=True):
            row = self._rows.setdefault(photo_id, len(self._rows))
            self._ids[row] = photo_id
            self._vectors[row] = vector

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Drop these photos' rows; those that are not there are ignored."""
        for photo_id in ids.tolist():
            row = self._rows.pop(photo_id, None)
            last = len(self._rows)
            if row is None or row == last:
                continue
            # The last row fills the gap, so that the matrix stays contiguous.
            moved = int(self._ids[last])
            self._ids[row] = moved
            self._vectors[row] = self._vectors[last]
            self._rows[moved] = row

    def scores(self, query: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Every photo's id and its inner product with `query` (dimension,), unsorted."""
        rows = len(self._rows)
        return self._ids[:rows].copy(), cosines(self._vectors[:rows], query)

    def take(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Those of the photos that are here, and their vectors (n, dimension): copies."""
        rows = [self._rows[photo_id] for photo_id in ids.tolist() if photo_id in self._rows]
        return self._ids[rows], self._vectors[rows]

    def _reserve(self, rows: int) -> None:
        capacity = len(self._ids)
        if rows <= capacity:
            return
        while capacity < rows:
            capacity *= 2
        used = len(self._rows)
        ids = np.empty(capacity, np.int64)
        vectors = np.empty((capacity, self._dimension), np.float32)
        ids[:used] = self._ids[:used]
        vectors[:used] = self._vectors[:used]
        self._ids, self._vectors = ids, vectors
