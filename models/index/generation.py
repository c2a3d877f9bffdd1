"""One immutable generation of the index: how it is opened, and what can be asked of it."""

from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from models.errors import GenerationCorrupt
from models.index.engine import nearest, open_mapped
from models.index.manifest import IDS_FILE, INDEX_FILE, Manifest
from models.index.proof import prove


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """An opened generation; its rows stay in the page cache, shared between processes.

    `ids` (rows,) int64 are the photos' ids, ascending; row i of `index` is photo ids[i]'s.
    The files may be removed while it is open: the mapping keeps them.
    """

    manifest: Manifest
    ids: NDArray[np.int64]
    index: faiss.Index

    def locate(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Each id's row, and whether it has one; where it has none the row means nothing."""
        rows = np.searchsorted(self.ids, ids)
        known = rows < len(self.ids)
        known[known] = self.ids[rows[known]] == ids[known]
        return rows, known

    def search(
        self, query: NDArray[np.float32], k: int, live: NDArray[np.uint8] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Photo ids and cosines of the at most `k` best rows, best first; see `engine.nearest`."""
        rows, scores = nearest(self.index, query, k, live)
        return self.ids[rows], scores


def open_generation(
    folder: Path, expected_manifest_sha256: str | None, *, fingerprint: str
) -> Generation:
    """Open the generation in `folder`, after proving that it is the one that was built.

    `expected_manifest_sha256` is what `build_generation` returned; the manifest holds the hash of
    every other file, and FAISS sees none before its hash was checked. With None only the files'
    agreement with their manifest is proven, not where they come from. Reads every byte once.
    Raises GenerationCorrupt if a file is missing or is not what its hash says, or if the
    generation holds another encoder's vectors than `fingerprint`'s.
    """
    manifest = prove(folder, expected_manifest_sha256)
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
    return Generation(manifest, ids, index)


def _open_ids(path: Path) -> NDArray[np.int64]:
    try:
        ids = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise GenerationCorrupt(f"{path} is not an array.") from error
    if ids.dtype != np.int64 or ids.ndim != 1:
        raise GenerationCorrupt(f"{path} does not hold a list of photo ids.")
    return np.asarray(ids)
