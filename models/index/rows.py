"""The rows of a generation in the making: on disk, so that memory stays bounded."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput
from models.index.vectors import as_rows

BLOCK_BYTES = 32 * 2**20


class SpooledRows:
    """Vectors that came in any order, readable in the order of their photos' ids.

    `ids` (n,) int64 are ascending and unique; position i means the row of photo ids[i].
    """

    def __init__(
        self, ids: NDArray[np.int64], vectors: NDArray[np.float32], order: NDArray[np.intp]
    ) -> None:
        self.ids = ids
        self._vectors = vectors
        self._order = order

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, positions: NDArray[np.integer]) -> NDArray[np.float32]:
        """The rows at `positions`, in that order: a copy, (len(positions), dimension)."""
        rows: NDArray[np.float32] = self._vectors[self._order[positions]]
        return rows

    def sample(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """At most `count` different rows, drawn at random."""
        positions = rng.choice(len(self), min(count, len(self)), replace=False)
        return self.take(np.sort(positions))

    def blocks(self, beat: Callable[[], None]) -> Iterator[NDArray[np.float32]]:
        """All rows in order, in pieces of bounded size; `beat` is called after each was used."""
        step = max(1, BLOCK_BYTES // self._vectors[:1].nbytes) if len(self) else 1
        for start in range(0, len(self), step):
            yield self.take(np.arange(start, min(start + step, len(self))))
            beat()


def spool(
    path: Path,
    batches: Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]],
    dimension: int,
    heartbeat: Callable[[int], None],
) -> SpooledRows:
    """Write the batches' vectors to `path` and index them by id; `heartbeat` gets the rows so far.

    The rows read from `path`: keep it until they are no longer used.
    Raises InvalidInput if a photo comes twice or a vector is unusable (see `vectors.as_rows`).
    """
    arrived: list[NDArray[np.int64]] = []
    rows = 0
    with path.open("xb") as file:
        for ids, vectors in batches:
            file.write(as_rows(ids, vectors, dimension).data)
            arrived.append(np.array(ids, dtype=np.int64))
            rows += len(ids)
            heartbeat(rows)
    ids = np.concatenate([np.empty(0, np.int64), *arrived])
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    twice = ids[1:][ids[1:] == ids[:-1]]
    if twice.size:
        raise InvalidInput(f"Photo {twice[0]} has more than one vector.")
    vectors = (
        np.memmap(path, dtype=np.float32, mode="r", shape=(rows, dimension))
        if rows
        else np.empty((0, dimension), np.float32)  # an empty file can't be mapped
    )
    return SpooledRows(ids, vectors, order)
