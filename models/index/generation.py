"""One immutable generation of the index: opening and searching it."""

import fcntl
import math
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from models.domain.errors import GenerationCorrupt
from models.index.checksums import verify_generation
from models.index.faiss_index import nearest, open_mapped, stored_rows
from models.index.manifest import IDS_FILE, INDEX_FILE, MANIFEST_FILE, ROWS_FILE, Manifest
from models.index.plan import plan_of
from models.index.rows import Rows, map_rows
from models.index.unit_vectors import UNIT_TOLERANCE, cosines
from models.vectors import HALF_PRECISION

RECALL_DEPTH = 10
"""The number of matches for which recall is measured and an index is tuned."""
ROWS_AT_ONCE = 2_048
"""The number of vectors copied at once, which bounds the memory."""


class Best(NamedTuple):
    """Photo ids and their cosines; every row that scores above `floor` is among them.

    An approximate index may miss some of those.
    """

    ids: NDArray[np.int64]
    cosines: NDArray[np.float32]
    floor: float


NO_ROWS = Best(np.empty(0, np.int64), np.empty(0, np.float32), -math.inf)


@dataclass(frozen=True, slots=True, eq=False)
class IndexSearcher:
    """An index of rows with its search parameters.

    `effort` and `candidates` are for a search for ten: how many lists are read, and how many of
    the rows found there are scored again. `most` is the effort at which every row is reached.
    """

    rows: Rows
    index: faiss.Index
    exact: bool
    effort: int = 0
    candidates: int = 0
    most: int = 0

    def best(
        self,
        query: NDArray[np.float32],
        k: int,
        live: NDArray[np.uint8] | None = None,
        live_count: int | None = None,
    ) -> Best:
        """The best rows for `query` (dimension,), unsorted, `k` or a few more; see `nearest`.

        `live_count` is how many bits of `live` are set: where few are, more lists are read.
        """
        count = len(self.rows) if live_count is None else live_count
        if not count:
            return NO_ROWS
        if self.exact:
            return self._all_above(query, k, live, count)
        wanted = self.candidates + 2 * max(0, k - RECALL_DEPTH)
        # In proportion to the candidates, and inversely to the share of live rows.
        times = wanted / self.candidates * len(self.rows) / count
        effort = min(self.most, math.ceil(self.effort * times))
        ids, scores, _ = self._scored(query, min(wanted, count), live, effort)
        if wanted >= count and effort == self.most:
            return Best(ids, scores, -math.inf)
        if len(scores) < k:  # too few lists were read: the result may miss better rows
            return Best(ids, scores, math.inf)
        return Best(ids, scores, float(np.partition(scores, -k)[-k]))

    def _all_above(
        self, query: NDArray[np.float32], k: int, live: NDArray[np.uint8] | None, count: int
    ) -> Best:
        wanted = k
        while True:
            wanted = min(2 * wanted, count)
            ids, scores, approximate = self._scored(query, wanted, live, effort=0)
            # FAISS scores the stored rows, whose length differs slightly from 1.
            floor = float(approximate[-1]) + HALF_PRECISION + UNIT_TOLERANCE
            if wanted == count:
                return Best(ids, scores, -math.inf)
            if np.count_nonzero(scores > floor) >= k:
                return Best(ids, scores, floor)

    def _scored(
        self, query: NDArray[np.float32], wanted: int, live: NDArray[np.uint8] | None, effort: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Ids and cosines of the rows that the engine finds, and its own scores."""
        positions, approximate = nearest(self.index, query, wanted, effort, live)
        scores = [
            cosines(self.rows.take(positions[start : start + ROWS_AT_ONCE]), query)
            for start in range(0, len(positions), ROWS_AT_ONCE)
        ]
        return self.rows.ids[positions], np.concatenate([NO_ROWS.cosines, *scores]), approximate


class GenerationLock:
    """A shared lock on a generation, released when this object is garbage-collected."""


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """An opened generation; its rows stay in the page cache, shared between processes.

    It is not removed while `lock` exists.
    """

    manifest: Manifest
    searcher: IndexSearcher
    lock: GenerationLock

    @property
    def rows(self) -> Rows:
        """Its photos' ids and vectors."""
        return self.searcher.rows

    def locate(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Each id's position, which is undefined for unknown ids, and whether it is known."""
        positions = np.searchsorted(self.rows.ids, ids)
        known = positions < len(self.rows)
        known[known] = self.rows.ids[positions[known]] == ids[known]
        return positions, known


def open_generation(
    folder: Path, expected_manifest_sha256: str | None, *, fingerprint: str
) -> Generation:
    """Open the generation in `folder`, after verifying that it is the one that was built.

    `expected_manifest_sha256` is what `build_generation` returned; the manifest holds the hash of
    every other file, which is verified before FAISS reads it. With None the files are verified
    against their manifest only, not their origin. Reads every byte once.
    Raises GenerationCorrupt if a file is missing or is not what its hash says, or if the
    generation holds another encoder's vectors than `fingerprint`'s.
    """
    lock = _lock_shared(folder)
    manifest = verify_generation(folder, expected_manifest_sha256)
    if manifest.fingerprint != fingerprint:
        raise GenerationCorrupt(
            f"{folder} holds vectors of encoder {manifest.fingerprint[:8]}, not {fingerprint[:8]}."
        )
    index = open_mapped(folder / INDEX_FILE)
    ids = _open_ids(folder / IDS_FILE)
    if not index.ntotal == len(ids) == manifest.rows or index.d != manifest.dimension:
        raise GenerationCorrupt(
            f"{folder} has {index.ntotal} vectors of {index.d} numbers and {len(ids)} ids,"
            f" not {manifest.rows} of {manifest.dimension}."
        )
    rows = Rows(ids, _open_rows(folder, index, manifest), owner=index)
    searcher = IndexSearcher(
        rows,
        index,
        manifest.exact,
        manifest.effort,
        manifest.candidates,
        plan_of(manifest.factory, manifest.dimension).most_effort(len(ids)),
    )
    return Generation(manifest, searcher, lock)


def _lock_shared(folder: Path) -> GenerationLock:
    path = folder / MANIFEST_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise GenerationCorrupt(f"{path} is missing.") from error
    lock = GenerationLock()
    weakref.finalize(lock, os.close, descriptor)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return lock


def _open_rows(folder: Path, index: faiss.Index, manifest: Manifest) -> NDArray[np.float16]:
    if manifest.exact:
        return stored_rows(index)
    try:
        return map_rows(folder / ROWS_FILE, manifest.rows, manifest.dimension)
    except ValueError as error:
        raise GenerationCorrupt(f"{folder / ROWS_FILE} is too short.") from error


def _open_ids(path: Path) -> NDArray[np.int64]:
    try:
        ids = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise GenerationCorrupt(f"{path} is not an array.") from error
    if ids.dtype != np.int64 or ids.ndim != 1:
        raise GenerationCorrupt(f"{path} does not hold a list of photo ids.")
    return np.asarray(ids)
