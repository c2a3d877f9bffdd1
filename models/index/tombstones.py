"""The rows of a generation that were removed."""

import numpy as np
from numpy.typing import NDArray


class Tombstones:
    """A set of rows out of `rows`, kept as the bitmap that FAISS' selectors read."""

    def __init__(self, rows: int) -> None:
        self._deleted = np.zeros(rows, np.bool_)
        self._live = self._packed()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def live(self) -> NDArray[np.uint8] | None:
        """One bit a row, the lowest first, set for live rows; None if all are."""
        return self._live if self._count else None

    def among(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """The live ones of these rows."""
        return rows[~self._deleted[rows]]

    def add(self, rows: NDArray[np.intp]) -> None:
        """Mark rows as deleted; idempotent."""
        self._mark(rows, deleted=True)

    def discard(self, rows: NDArray[np.intp]) -> None:
        """Mark rows as live again; idempotent."""
        self._mark(rows, deleted=False)

    def _mark(self, rows: NDArray[np.intp], *, deleted: bool) -> None:
        if rows.size:
            self._deleted[rows] = deleted
            self._live = self._packed()
            self._count = int(np.count_nonzero(self._deleted))

    def _packed(self) -> NDArray[np.uint8]:
        return np.packbits(~self._deleted, bitorder="little")
