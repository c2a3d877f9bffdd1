"""The index as a worker searches it: a generation, what is newer, and what is gone."""

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from models.domain import Match
from models.errors import InvalidInput
from models.index.fresh import FreshSide
from models.index.generation import Generation
from models.index.manifest import Manifest
from models.index.tombstones import Tombstones
from models.index.vectors import as_query, as_rows

EXACT_FACTORY = "Flat"
# One scan of a flat index costs the same whether it keeps 10 rows or 1,000, so start high.
USUAL_MATCHES = 256


class VectorIndex:
    """Vectors of `dimension` numbers and unit length, one a photo, searched by cosine.

    It mirrors the live photos of one encoder: a generation, an exact fresh side for photos newer
    than it, tombstones for those of its photos that are gone. A photo is never in both sides.
    One a process, for one thread: nothing here may run beside `swap`, `upsert` or `remove`.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._generation: Generation | None = None
        self._fresh = FreshSide(dimension)
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
        """Photos of the generation that are gone."""
        return len(self._tombstones)

    @property
    def rows(self) -> int:
        """Photos that can be found."""
        return self._live_in_generation + len(self._fresh)

    @property
    def exact(self) -> bool:
        """Whether every search finds the true best; a lossy generation may miss some."""
        return self._generation is None or self._generation.manifest.factory == EXACT_FACTORY

    def swap(self, generation: Generation | None) -> None:
        """Serve `generation` from now on, with nothing fresh and nothing gone.

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
        vectors = as_rows(ids, vectors, self._dimension)
        if self._generation:
            rows, known = self._generation.locate(ids)
            self._tombstones.lift(rows[known])
            ids, vectors = ids[~known], vectors[~known]
        self._fresh.upsert(ids, vectors)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Make photos `ids` (n,) unfindable; those that are not there are ignored."""
        if self._generation:
            rows, known = self._generation.locate(ids)
            self._tombstones.bury(rows[known])
        self._fresh.remove(ids)

    def search(self, query: NDArray[np.float32], k: int) -> list[Match]:
        """The `k` photos most like `query` (dimension,), or all if fewer; see `matches`."""
        if k < 1:
            raise InvalidInput(f"A search wants at least one match, not {k}.")
        return list(islice(self.matches(query, expect=k), k))

    def matches(
        self, query: NDArray[np.float32], *, expect: int = USUAL_MATCHES
    ) -> Iterator[Match]:
        """All photos, best first, equal ones by id; each is looked for only when asked for.

        Equal means the same float32 cosine: a photo's copies in the generation and on the fresh
        side may differ in the last bit.
        `expect` is how many the caller likely takes: more cost another search of the generation.
        Use the iterator up, or drop it, before the index changes.
        Raises InvalidInput if `query` is not a finite vector of this dimension and unit length.
        """
        # One more than wanted, because the last may be tied with rows beyond it.
        return self._ranked(as_query(query, self._dimension), expect + 1)

    @property
    def _live_in_generation(self) -> int:
        rows = self._generation.manifest.rows if self._generation else 0
        return rows - len(self._tombstones)

    def _ranked(self, query: NDArray[np.float32], fetch: int) -> Iterator[Match]:
        fresh_ids, fresh_scores = self._fresh.scores(query)
        given: set[int] = set()
        while True:
            ids, scores, floor = self._best_in_generation(query, fetch)
            for match in _merged((fresh_ids, ids), (fresh_scores, scores), floor):
                if match.photo_id not in given:
                    given.add(match.photo_id)
                    yield match
            if floor == -math.inf:
                return
            fetch *= 2

    def _best_in_generation(
        self, query: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], float]:
        """The `k` best live rows, and the floor: every row that scores above it is among them.

        Tombstones go to FAISS as a selector, not as more rows to fetch: just as exact, no slower,
        and it stays so when there are many, or when the index probes only some of its lists.
        """
        if not self._generation or not self._live_in_generation:
            return np.empty(0, np.int64), np.empty(0, np.float32), -math.inf
        ids, scores = self._generation.search(query, k, self._tombstones.live)
        everything = len(ids) < k or k >= self._live_in_generation
        return ids, scores, -math.inf if everything else float(scores[-1])


def _merged(
    ids: tuple[NDArray[np.int64], ...], scores: tuple[NDArray[np.float32], ...], floor: float
) -> Iterator[Match]:
    """The matches that score above `floor`, best first, equal ones by id."""
    all_ids, all_scores = np.concatenate(ids), np.concatenate(scores)
    above = all_scores > floor
    # Rounding can carry the product of two unit vectors just past 1.
    kept_ids, cosines = all_ids[above], np.clip(all_scores[above], -1.0, 1.0)
    for place in np.lexsort((kept_ids, -cosines)).tolist():
        yield Match(int(kept_ids[place]), float(cosines[place]))
