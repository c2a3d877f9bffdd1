"""Every call into FAISS. Rows are numbered by position, metric is the inner product.

FAISS' type stubs lack its Python-side constructors: those are reached through an untyped alias.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from models.errors import GenerationCorrupt
from models.index.files import durable

_faiss: Any = faiss


def set_threads(threads: int) -> None:
    """Let FAISS use this many OpenMP threads, in the whole process."""
    faiss.omp_set_num_threads(threads)


def write_index(
    path: Path,
    factory: str,
    dimension: int,
    *,
    training: Callable[[], NDArray[np.float32]],
    blocks: Iterable[NDArray[np.float32]],
) -> None:
    """Build an index of the rows in `blocks`, in order, and write it durably to `path`.

    `factory` is a FAISS factory string; `training` gives (n, dimension) rows to train on and is
    called only if that kind of index learns. Raises OSError, with no promise about `path`.
    """
    index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    for block in blocks:
        if not index.is_trained:
            index.train(training())
        index.add(block)
    # FAISS' own file writer only prints that closing failed, and a full disk often shows there.
    with durable(path) as file:
        faiss.write_index(index, _faiss.PyCallbackIOWriter(file.write))


def open_mapped(path: Path) -> faiss.Index:
    """Open an index file without copying its rows into memory.

    FAISS trusts what it reads: check the file's hash first. The mapping outlives the file's name.
    Raises GenerationCorrupt if FAISS can't read it.
    """
    try:
        # IO_FLAG_MMAP maps inverted lists only; this one maps flat codes.
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise GenerationCorrupt(f"FAISS {faiss.__version__} can't read {path}.") from error


def nearest(
    index: faiss.Index, query: NDArray[np.float32], k: int, live: NDArray[np.uint8] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Positions and scores of the at most `k` best rows for `query` (dimension,), best first.

    `live`, if given, holds one bit a row, the lowest first: only rows whose bit is set are found.
    The index is left as it is, so that others may search it too.
    """
    if not index.ntotal or k < 1:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    parameters = None
    if live is not None:
        # The selector only points into `live`, which this frame keeps alive.
        selector = faiss.IDSelectorBitmap(len(live), faiss.swig_ptr(live))
        parameters = _faiss.SearchParameters(sel=selector)
    scores, positions = index.search(
        query[np.newaxis], min(k, int(index.ntotal)), params=parameters
    )
    found = positions[0] >= 0  # FAISS pads with -1 what it did not find
    return positions[0][found], scores[0][found]
