"""Cosine similarities of listings to all listings: exact, by products of matrices. Pure."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.evaluation.recommendations.events import Integers
from models.vectors import from_stored

Vectors = NDArray[np.float32] | NDArray[np.float16]
Similarity = NDArray[np.float32]

UNKNOWN: Final = -1.0
"""The similarity of a listing without a vector to all others: the least there is."""

CACHE_BYTES: Final = 512_000_000
FLOAT32_BYTES: Final = 1_000_000_000
BLOCK_BYTES: Final = 64_000_000
"""Of what is held at once besides: similarities, and vectors that are made float32."""


class Similarities:
    """The vectors of n listings' photos, compared in float32.

    `vectors` (p, dimension) are unit rows, or zeros where there is none. Stored ones, in float16,
    stay half as large where they are many, and are made float32 again and again. `listings` (p,)
    are the listings that show them, ascending, each one's photos in its own order. A listing is as
    similar as the most similar of its photos; it is compared by its first. Rows that are asked for
    again are kept, the last used of them, up to `cache_bytes`.
    """

    def __init__(
        self, vectors: Vectors, listings: Integers, n: int, cache_bytes: int = CACHE_BYTES
    ) -> None:
        has_vector = vectors.any(axis=1)
        if not has_vector.all():
            vectors, listings = vectors[has_vector], listings[has_vector]
        if vectors.dtype == np.float16 and 2 * vectors.nbytes <= FLOAT32_BYTES:
            vectors = _float32(vectors)
        self.n = n
        self._vectors = vectors
        self._shown, self._first = np.unique(listings, return_index=True)
        self._row = np.full(n, -1, np.int64)
        self._row[self._shown] = self._first
        self._is_single = len(self._shown) == len(listings)
        self._cache: OrderedDict[bytes, Similarity] = OrderedDict()
        self._most = max(1, cache_bytes // (4 * max(n, 1)))

    @property
    def dimension(self) -> int:
        """Of the vectors."""
        return int(self._vectors.shape[1])

    def has_vector(self, listings: Integers) -> NDArray[np.bool_]:
        """Which of these listings have a vector."""
        return self._row[listings] >= 0

    def vectors_of(self, listings: Integers) -> NDArray[np.float32]:
        """The vectors (k, dimension) of listings that have one: those of their first photos."""
        return _float32(self._vectors[self._row[listings]])

    def blocks(self, listings: Integers) -> Iterator[tuple[slice, Similarity]]:
        """The similarities (b, n) of listings with a vector to all, a part of them at a time."""
        at_once = max(1, BLOCK_BYTES // (4 * max(self.n, 1)))
        for start in range(0, len(listings), at_once):
            part = listings[start : start + at_once]
            yield slice(start, start + len(part)), self.rows(self.vectors_of(part))

    def rows(self, vectors: NDArray[np.float32]) -> Similarity:
        """The similarities (k, n) of unit vectors (k, dimension) to all listings."""
        keys = [vector.tobytes() for vector in vectors]
        missing = [row for row, key in enumerate(keys) if key not in self._cache]
        made = dict(
            zip((keys[row] for row in missing), self.product(vectors[missing]), strict=True)
            if missing
            else ()
        )
        for key in keys:
            if key in self._cache:
                self._cache.move_to_end(key)
        found = np.stack([made[key] if key in made else self._cache[key] for key in keys])
        for key, row in made.items():
            self._cache[key] = row.copy()
        while len(self._cache) > self._most:
            self._cache.popitem(last=False)
        return found

    def product(self, queries: NDArray[np.float32]) -> Similarity:
        """The products (k, n) of vectors (k, dimension) with those of all listings; not kept."""
        photos, dimension = self._vectors.shape
        found = np.empty((len(queries), photos), np.float32)
        at_once = max(1, BLOCK_BYTES // (4 * max(dimension, 1)))
        for start in range(0, photos, at_once):
            part = _float32(self._vectors[start : start + at_once])
            found[:, start : start + at_once] = queries @ part.T
        return self._by_listing(found)

    def _by_listing(self, found: Similarity) -> Similarity:
        if self._is_single and len(self._shown) == self.n:
            return found
        rows = np.full((len(found), self.n), UNKNOWN, np.float32)
        if len(self._shown):
            rows[:, self._shown] = (
                found if self._is_single else np.maximum.reduceat(found, self._first, axis=1)
            )
        return rows


def _float32(vectors: Vectors) -> NDArray[np.float32]:
    if vectors.dtype == np.float16:
        return from_stored(vectors.astype(np.float16, copy=False))
    return vectors.astype(np.float32, copy=False)
