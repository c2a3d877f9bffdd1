"""An index that compares everything with everything: what the real ones are held against."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from models.domain.types import Match


class BruteForceIndex:
    """Photos' vectors in a dictionary. `asked` tells which of its searches were made."""

    def __init__(
        self, vectors: Mapping[int, NDArray[np.float32]], dimension: int, *, exact: bool = True
    ) -> None:
        self.vectors = dict(vectors)
        self.exact = exact
        self.asked: list[str] = []
        self._dimension = dimension

    @property
    def rows(self) -> int:
        return len(self.vectors)

    def matches(self, query: NDArray[np.float32], *, expect: int = 256) -> Iterator[Match]:
        del expect
        self.asked.append("matches")
        return iter(self._ranked(query, self.vectors))

    def among(self, query: NDArray[np.float32], photo_ids: NDArray[np.int64]) -> list[Match]:
        self.asked.append("among")
        return self._ranked(query, self._there(photo_ids))

    def only(
        self, query: NDArray[np.float32], photo_ids: NDArray[np.int64], *, expect: int = 256
    ) -> Iterator[Match]:
        del expect
        self.asked.append("only")
        return iter(self._ranked(query, self._there(photo_ids)))

    def vectors_of(
        self, photo_ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        there = self._there(photo_ids)
        vectors = list(there.values()) or [np.empty((0, self._dimension), np.float32)]
        return np.array(list(there), np.int64), np.vstack(vectors)

    def _there(self, photo_ids: NDArray[np.int64]) -> dict[int, NDArray[np.float32]]:
        wanted = dict.fromkeys(photo_ids.tolist())
        return {photo_id: self.vectors[photo_id] for photo_id in wanted if photo_id in self.vectors}

    @staticmethod
    def _ranked(
        query: NDArray[np.float32], vectors: Mapping[int, NDArray[np.float32]]
    ) -> list[Match]:
        found = (
            Match(photo_id, float(np.vecdot(vector, query))) for photo_id, vector in vectors.items()
        )
        return sorted(found, key=lambda match: (-match.similarity, match.photo_id))
