"""The index as a worker searches it: a generation, fresh vectors, and tombstones."""

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from models.domain.errors import InvalidInput
from models.domain.types import Match
from models.index.fresh_vectors import FreshVectors
from models.index.generation import NO_ROWS, ROWS_AT_ONCE, Best, Generation
from models.index.manifest import Manifest
from models.index.photo_index import DEFAULT_MATCHES
from models.index.tombstones import Tombstones
from models.index.unit_vectors import as_query, as_rows, cosines
from models.vectors import as_stored


class VectorIndex:
    """Vectors of `dimension` numbers and unit length, one a photo, searched by cosine.

    It mirrors the live photos of one encoder: a generation, fresh vectors of photos newer than it,
    tombstones for those of its photos that were removed. A photo is never in both.
    Not thread-safe: nothing may run concurrently with `swap`, `upsert` or `remove`.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._generation: Generation | None = None
        self._fresh = FreshVectors(dimension)
        self._tombstones = Tombstones(0)

    @property
    def manifest(self) -> Manifest | None:
        """The generation's manifest, if there is one."""
        return self._generation.manifest if self._generation else None

    @property
    def last_change(self) -> int:
        """The last change number in the generation; after a swap, later ones are to be replayed."""
        return self._generation.manifest.last_change if self._generation else 0

    @property
    def fresh_count(self) -> int:
        """Photos newer than the generation."""
        return len(self._fresh)

    @property
    def tombstone_count(self) -> int:
        """Photos of the generation that were removed."""
        return len(self._tombstones)

    @property
    def rows(self) -> int:
        """Photos that can be found."""
        return self._live_in_generation + len(self._fresh)

    @property
    def exact(self) -> bool:
        """Whether every search finds the true best; a lossy generation may miss some."""
        return self._generation is None or self._generation.manifest.exact

    def swap(self, generation: Generation | None) -> None:
        """Serve `generation` from now on, with no fresh vectors and no tombstones.

        Replay the changes after `last_change` before the next search.
        Raises InvalidInput if its vectors have another dimension.
        """
        if generation and generation.manifest.dimension != self._dimension:
            raise InvalidInput(
                f"This index holds vectors of {self._dimension} numbers,"
                f" the generation of {generation.manifest.dimension}."
            )
        self._generation = generation
        self._fresh.clear()
        self._tombstones = Tombstones(generation.manifest.rows if generation else 0)

    def upsert(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Make photos `ids` (n,) findable by `vectors` (n, dimension); doing so twice is fine.

        A photo's vector never changes under one encoder, so one that is in the generation keeps
        that row. Raises InvalidInput for unusable vectors, having changed nothing.
        """
        vectors = as_stored(as_rows(ids, vectors, self._dimension))
        if self._generation:
            rows, known = self._generation.locate(ids)
            self._tombstones.discard(rows[known])
            ids, vectors = ids[~known], vectors[~known]
        self._fresh.upsert(ids, vectors)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Make photos `ids` (n,) unfindable; those that are not there are ignored."""
        if self._generation:
            rows, known = self._generation.locate(ids)
            self._tombstones.add(rows[known])
        self._fresh.remove(ids)

    def search(self, query: NDArray[np.float32], k: int) -> list[Match]:
        """The `k` photos most like `query` (dimension,), or all if fewer; see `matches`."""
        if k < 1:
            raise InvalidInput(f"A search wants at least one match, not {k}.")
        return list(islice(self.matches(query, expect=k), k))

    def matches(
        self, query: NDArray[np.float32], *, expect: int = DEFAULT_MATCHES
    ) -> Iterator[Match]:
        """All photos, best first, equal ones by id; each is looked for only when asked for.

        `expect` is how many the caller likely takes: more cost another search of the generation.
        With the same `expect` the same index gives the same matches in the same order. Use the
        iterator up, or drop it, before the index changes.
        Raises InvalidInput if `query` is not a finite vector of this dimension and unit length.
        """
        query = as_query(query, self._dimension)
        fresh = self._fresh.scores(query)
        return self._ranked(query, fresh, self._tombstones.live, self._live_in_generation, expect)

    def only(
        self,
        query: NDArray[np.float32],
        photo_ids: NDArray[np.int64],
        *,
        expect: int = DEFAULT_MATCHES,
    ) -> Iterator[Match]:
        """As `matches`, restricted to the photos `photo_ids` (n,) by a selector."""
        query = as_query(query, self._dimension)
        photo_ids = np.unique(photo_ids)
        ids, vectors = self._fresh.take(photo_ids)
        wanted = np.zeros(self._generation.manifest.rows if self._generation else 0, np.bool_)
        wanted[self._living(photo_ids)] = True
        return self._ranked(
            query,
            (ids, cosines(vectors, query)),
            np.packbits(wanted, bitorder="little"),
            int(np.count_nonzero(wanted)),
            expect,
        )

    def among(self, query: NDArray[np.float32], photo_ids: NDArray[np.int64]) -> list[Match]:
        """Those of the photos `photo_ids` (n,) that are here, best first, ties by id: exact."""
        query, photo_ids = as_query(query, self._dimension), np.unique(photo_ids)
        blocks = [
            (ids, cosines(vectors, query))
            for start in range(0, len(photo_ids), ROWS_AT_ONCE)
            for ids, vectors in [self.vectors_of(photo_ids[start : start + ROWS_AT_ONCE])]
        ]
        if not blocks:
            return []
        ids, scores = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        return list(_merged((ids,), (scores,), floor=-math.inf))

    def vectors_of(
        self, photo_ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Those of the photos `photo_ids` (n,), each once, that are here, and their vectors.

        Of unit length (m, dimension), but for the rounding to half precision: copies.
        """
        ids, vectors = self._fresh.take(photo_ids)
        if not self._generation:
            return ids, vectors
        rows = self._generation.rows
        positions = self._living(photo_ids)
        return (
            np.concatenate([rows.ids[positions], ids]),
            np.concatenate([rows.take(positions), vectors]),
        )

    @property
    def _live_in_generation(self) -> int:
        rows = self._generation.manifest.rows if self._generation else 0
        return rows - len(self._tombstones)

    def _living(self, photo_ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """The positions of those of the photos that are in the generation and not removed."""
        if not self._generation:
            return np.empty(0, np.intp)
        positions, known = self._generation.locate(photo_ids)
        return self._tombstones.among(positions[known])

    def _ranked(
        self,
        query: NDArray[np.float32],
        fresh: tuple[NDArray[np.int64], NDArray[np.float32]],
        live: NDArray[np.uint8] | None,
        live_count: int,
        expect: int,
    ) -> Iterator[Match]:
        """Matches in bands of decreasing similarity, each from a wider search than the previous."""
        # One more than expected, because the last may be tied with further rows.
        fetch, ceiling = expect + 1, math.inf
        while True:
            # Tombstones are passed to FAISS as a selector instead of fetching more rows: equally
            # exact, no slower, and robust to many tombstones or few lists.
            best = self._best(query, fetch, live, live_count)
            yield from _merged((fresh[0], best.ids), (fresh[1], best.cosines), best.floor, ceiling)
            if best.floor == -math.inf:
                return
            ceiling = min(ceiling, best.floor)
            fetch *= 2

    def _best(
        self,
        query: NDArray[np.float32],
        k: int,
        live: NDArray[np.uint8] | None,
        live_count: int,
    ) -> Best:
        if not self._generation:
            return NO_ROWS
        return self._generation.searcher.best(query, k, live, live_count)


def _merged(
    ids: tuple[NDArray[np.int64], ...],
    scores: tuple[NDArray[np.float32], ...],
    floor: float,
    ceiling: float = math.inf,
) -> Iterator[Match]:
    """The matches that score above `floor` and up to `ceiling`, best first, equal ones by id."""
    all_ids, all_scores = np.concatenate(ids), np.concatenate(scores)
    band = (all_scores > floor) & (all_scores <= ceiling)
    # Rounding can carry the product of two unit vectors just past 1.
    kept_ids, similarities = all_ids[band], np.clip(all_scores[band], -1.0, 1.0)
    for place in np.lexsort((kept_ids, -similarities)).tolist():
        yield Match(int(kept_ids[place]), float(similarities[place]))
