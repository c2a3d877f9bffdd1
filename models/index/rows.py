"""The rows of a generation: vectors in half precision in a file, in the order of their ids."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.domain.durable_files import new_file
from models.domain.errors import InvalidInput
from models.index.unit_vectors import as_rows
from models.vectors import STORED_DTYPE, from_stored, to_stored

BLOCK_BYTES = 32 * 2**20
SYNC_BYTES = 256 * 2**20


class Rows:
    """Unit vectors, read on demand; position i is the row of photo ids[i].

    `ids` (n,) int64 are ascending and unique, `stored` (n, dimension) float16, which may be a
    view of the memory of `owner`, kept alive here.
    """

    def __init__(
        self, ids: NDArray[np.int64], stored: NDArray[np.float16], owner: object = None
    ) -> None:
        self.ids = ids
        self.stored = stored
        self._owner = owner

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, positions: NDArray[np.integer]) -> NDArray[np.float32]:
        """The vectors at `positions`, in that order: a copy, (len(positions), dimension)."""
        return from_stored(self.stored[positions])

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """All vectors in order, in pieces of bounded size."""
        step = max(1, BLOCK_BYTES // (4 * self.stored.shape[1]))
        for start in range(0, len(self), step):
            yield from_stored(self.stored[start : start + step])


def write_rows(
    path: Path,
    batches: Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]],
    dimension: int,
    heartbeat: Callable[[int], None],
) -> Rows:
    """Write the batches' vectors durably to `path`; `heartbeat` gets the rows so far.

    The rows are read from `path`. Raises InvalidInput if ids don't ascend from batch to batch and
    within each, or if a vector is unusable (see `vectors.as_rows`).
    """
    arrived = [np.empty(0, np.int64)]
    rows, last, unsynced = 0, -1, 0
    with new_file(path) as file:
        for ids, vectors in batches:
            stored = to_stored(as_rows(ids, vectors, dimension))
            out_of_order = np.flatnonzero(np.diff(ids, prepend=last) <= 0)
            if out_of_order.size:
                raise InvalidInput(f"Photo {ids[out_of_order[0]]} comes twice or out of order.")
            file.write(stored.data)
            unsynced += stored.nbytes
            if unsynced >= SYNC_BYTES:
                # At intervals: a single sync at the end could exceed the heartbeat's limit.
                os.fsync(file.fileno())
                unsynced = 0
            arrived.append(ids.astype(np.int64))
            rows, last = rows + len(ids), int(ids[-1]) if len(ids) else last
            heartbeat(rows)
    return Rows(np.concatenate(arrived), map_rows(path, rows, dimension))


def map_rows(path: Path, rows: int, dimension: int) -> NDArray[np.float16]:
    """The rows (rows, dimension) in the file at `path`, without reading them. Raises OSError.

    Raises ValueError if the file is shorter than that.
    """
    if not rows:  # an empty file can't be mapped
        return np.empty((0, dimension), STORED_DTYPE)
    return np.memmap(path, dtype=STORED_DTYPE, mode="r", shape=(rows, dimension))
