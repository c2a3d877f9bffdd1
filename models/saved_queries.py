"""The vectors of saved searches in memory, which photos are compared with in one product."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

FIRST_ROWS: Final = 256

PHOTOS_AT_ONCE: Final = 32
"""In one product: its result has a column for each vector."""


@dataclass(frozen=True, slots=True)
class Similar:
    """Pairs of a saved search and a photo, at least as similar as the search asks, each once.

    `numbers` (n,) are those of the searches, `photos` (n,) are rows of what was compared, and
    `similarities` (n,) the cosines of the nearest of each search's vectors.
    """

    numbers: NDArray[np.int64]
    photos: NDArray[np.int64]
    similarities: NDArray[np.float32]


@dataclass(slots=True)
class SavedQueries:
    """The vectors of saved searches, by number; a search may have several.

    They take `4 * dimension` bytes each, in arrays that grow by doubling.
    """

    dimension: int
    _vectors: NDArray[np.float32] = field(init=False)
    _owners: NDArray[np.int64] = field(init=False)
    _thresholds: NDArray[np.float32] = field(init=False)
    _rows_of: dict[int, slice] = field(default_factory=dict)
    _end: int = 0
    _live: int = 0

    def __post_init__(self) -> None:
        self._allocate(FIRST_ROWS)

    def __len__(self) -> int:
        return len(self._rows_of)

    def put(self, number: int, vectors: NDArray[np.float32], threshold: float | None) -> None:
        """Add a search with its unit vectors (n, dimension), or replace it.

        Photos are found from this cosine on; from the default, if that is None.
        """
        self.remove(number)
        rows = slice(self._end, self._end + len(vectors))
        if rows.stop > len(self._owners):
            self._move(max(2 * len(self._owners), rows.stop))
        self._vectors[rows] = vectors
        self._owners[rows] = number
        self._thresholds[rows] = np.nan if threshold is None else threshold
        self._rows_of[number] = rows
        self._end = rows.stop
        self._live += len(vectors)

    def remove(self, number: int) -> None:
        """Remove a search; one that is not there is ignored."""
        rows = self._rows_of.pop(number, None)
        if rows is None:
            return
        # Nothing is as similar as that.
        self._thresholds[rows] = np.inf
        self._live -= rows.stop - rows.start
        if 2 * self._live < self._end and self._end > FIRST_ROWS:
            self._compact()

    def similar(self, photos: NDArray[np.float32], default: float) -> Similar:
        """The searches that unit vectors (m, dimension) of photos are similar enough for.

        `default` is the least cosine where a search states none. There is at least one photo.
        """
        thresholds = self._thresholds[: self._end]
        wanted = np.where(np.isnan(thresholds), np.float32(default), thresholds)
        found = [
            self._similar(photos[first : first + PHOTOS_AT_ONCE], first, wanted)
            for first in range(0, len(photos), PHOTOS_AT_ONCE)
        ]
        return _best_of_each(*map(np.concatenate, zip(*found, strict=True)))

    def _similar(
        self, photos: NDArray[np.float32], first: int, wanted: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        cosines = photos @ self._vectors[: self._end].T
        rows, vectors = np.nonzero(cosines >= wanted)
        return self._owners[vectors], rows + first, cosines[rows, vectors]

    def _allocate(self, rows: int) -> None:
        """Room for so many vectors; what is there is not copied."""
        self._vectors = np.zeros((rows, self.dimension), np.float32)
        self._owners = np.zeros(rows, np.int64)
        self._thresholds = np.full(rows, np.inf, np.float32)

    def _move(self, rows: int) -> None:
        """To larger arrays."""
        used = slice(self._end)
        vectors, owners, thresholds = self._vectors, self._owners, self._thresholds
        self._allocate(rows)
        self._vectors[used] = vectors[used]
        self._owners[used] = owners[used]
        self._thresholds[used] = thresholds[used]

    def _compact(self) -> None:
        """Leave out the rows of removed searches."""
        kept = [
            (number, self._vectors[rows], self._thresholds[rows])
            for number, rows in self._rows_of.items()
        ]
        self._allocate(max(FIRST_ROWS, 2 * self._live))
        self._rows_of, self._end, self._live = {}, 0, 0
        for number, vectors, thresholds in kept:
            threshold = float(thresholds[0]) if len(thresholds) else None
            self.put(number, vectors, threshold)


def _best_of_each(
    numbers: NDArray[np.int64], photos: NDArray[np.int64], similarities: NDArray[np.float32]
) -> Similar:
    """Of the vectors of a search that a photo is similar to, the nearest."""
    order = np.lexsort((-similarities, photos, numbers))
    numbers, photos, similarities = numbers[order], photos[order], similarities[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = (numbers[1:] != numbers[:-1]) | (photos[1:] != photos[:-1])
    return Similar(numbers[is_first], photos[is_first], similarities[is_first])
