"""Every call into FAISS. Rows are numbered by position.

FAISS finds candidates; how similar they are is computed elsewhere, from the vectors themselves.
Candidates are the nearest by Euclidean distance, which for unit vectors is the order of the cosine,
and keeps nearer to it than the inner product does once PCA has cut vectors short.
FAISS' type stubs lack its Python-side constructors: those are reached through an untyped alias.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from models.domain.durable_files import new_file
from models.domain.errors import GenerationCorrupt, InvalidInput
from models.index.plan import EXACT, PCA_TRAINING_ROWS, IndexPlan
from models.vectors import STORED_DTYPE

_faiss: Any = faiss

PARALLEL_OVER_LISTS = 1

Blocks = Iterable[NDArray[np.float32]]
Sample = Callable[[int], Blocks]
"""So many of the rows, or all if there are fewer, in blocks (n, dimension); always the same."""


def set_threads(threads: int) -> None:
    """Let FAISS use this many OpenMP threads, when it is called from this thread."""
    faiss.omp_set_num_threads(threads)


def write_exact_index(path: Path, stored: NDArray[np.float16], beat: Callable[[], None]) -> None:
    """Write the index that looks at every one of the rows (n, dimension), durably, to `path`.

    It holds them all in memory meanwhile. Raises OSError, with no promise about `path`.
    """
    index: Any = faiss.index_factory(stored.shape[1], EXACT, faiss.METRIC_INNER_PRODUCT)
    index.add_sa_codes(np.ascontiguousarray(stored).view(np.uint8))
    beat()
    _write(index, path)


def write_index(
    path: Path, plan: IndexPlan, dimension: int, sample: Sample, blocks: Blocks
) -> None:
    """Train an index as planned, add the rows in `blocks` in order, write it durably to `path`.

    Only the index itself and what it learns from are in memory. Raises InvalidInput if there is no
    such factory or there are too few rows for it, and OSError, with no promise about `path`.
    """
    try:
        index = _trained(
            faiss.index_factory(dimension, plan.factory, faiss.METRIC_L2), plan, sample
        )
        for block in blocks:
            index.add(block)
    except RuntimeError as error:
        raise InvalidInput(
            f"FAISS can't build {plan.factory} of these rows: {_reason(error)}"
        ) from error
    _write(index, path)


def open_mapped(path: Path) -> faiss.Index:
    """Open an index file without copying its rows into memory.

    FAISS trusts what it reads: check the file's hash first. The mapping outlives the file's name.
    Raises GenerationCorrupt if FAISS can't read it.
    """
    try:
        # IO_FLAG_MMAP alone maps inverted lists only; this one maps flat codes and graphs as well.
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise GenerationCorrupt(f"FAISS {faiss.__version__} can't read {path}.") from error
    behind = _behind(index)
    if isinstance(behind, faiss.IndexIVF):
        # Queries come one at a time: threads share the lists of one, instead of the queries.
        behind.parallel_mode = PARALLEL_OVER_LISTS
    return index


def stored_rows(index: faiss.Index) -> NDArray[np.float16]:
    """The rows (n, dimension) that an exact index holds: not a copy, so keep the index.

    Raises GenerationCorrupt if it is of another kind.
    """
    exact = _faiss.downcast_index(index)
    if not isinstance(exact, faiss.IndexScalarQuantizer) or exact.code_size != 2 * index.d:
        raise GenerationCorrupt("The index should hold vectors in half precision, and does not.")
    codes = _faiss.rev_swig_ptr(exact.codes.data(), int(index.ntotal) * exact.code_size)
    rows: NDArray[np.float16] = codes.view(STORED_DTYPE).reshape(int(index.ntotal), int(index.d))
    return rows


def nearest(
    index: faiss.Index,
    query: NDArray[np.float32],
    k: int,
    effort: int,
    live: NDArray[np.uint8] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Positions of the at most `k` nearest rows to `query` (dimension,), and FAISS' scores.

    `effort` is how many lists are read, or how many nodes a graph keeps in sight. `live`, if given,
    holds one bit a row, the lowest first: only rows whose bit is set are found. The index is left
    as it is, so that others may search it too. Raises InvalidInput if it can't be searched so.
    """
    if not index.ntotal or k < 1:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    # The selector only points into `live`, which this frame keeps alive.
    selector = None if live is None else faiss.IDSelectorBitmap(len(live), faiss.swig_ptr(live))
    parameters = _parameters(index, effort, selector)
    try:
        scores, positions = index.search(
            query[np.newaxis], min(k, int(index.ntotal)), params=parameters
        )
    except RuntimeError as error:
        raise InvalidInput(f"FAISS can't search this kind of index: {_reason(error)}") from error
    found = positions[0] >= 0  # FAISS pads with -1 what it did not find
    return positions[0][found], scores[0][found]


def _trained(index: faiss.Index, plan: IndexPlan, sample: Sample) -> faiss.Index:
    """Train the reduction on full vectors, and the index behind it on reduced ones: those fit."""
    downcast: Any = _faiss.downcast_index(index)
    if not isinstance(downcast, _faiss.IndexPreTransform):
        if not index.is_trained:
            index.train(np.concatenate(list(sample(plan.training_rows))))
        return index
    reduction = _faiss.downcast_VectorTransform(downcast.chain.at(0))
    reduction.train(np.concatenate(list(sample(PCA_TRAINING_ROWS))))
    reduced = [reduction.apply(block) for block in sample(plan.training_rows)]
    behind = _faiss.downcast_index(downcast.index)
    if not behind.is_trained:
        behind.train(np.concatenate(reduced))
    whole = _faiss.IndexPreTransform(_lean(reduction), behind)
    whole.referenced_objects.append(index)  # it owns `behind`, which is not copied
    lean: faiss.Index = whole
    return lean


def _lean(reduction: Any) -> Any:
    """The same linear map without what training left: PCA keeps every direction, in files too."""
    lean = _faiss.LinearTransform(reduction.d_in, reduction.d_out, True)
    matrix = _faiss.vector_to_array(reduction.A)[: reduction.d_in * reduction.d_out]
    offset = _faiss.vector_to_array(reduction.b)
    _faiss.copy_array_to_vector(matrix, lean.A)
    _faiss.copy_array_to_vector(offset if offset.size else np.zeros(lean.d_out, np.float32), lean.b)
    lean.is_trained = True
    return lean


def _parameters(index: faiss.Index, effort: int, selector: faiss.IDSelector | None) -> Any:
    """Made anew for each search: shared ones would be a race between searches."""
    behind = _behind(index)
    if isinstance(behind, faiss.IndexIVF):
        parameters = _faiss.SearchParametersIVF(sel=selector, nprobe=effort)
    elif isinstance(behind, faiss.IndexHNSW):
        parameters = _faiss.SearchParametersHNSW(sel=selector, efSearch=effort)
    else:
        parameters = _faiss.SearchParameters(sel=selector)
    if isinstance(_faiss.downcast_index(index), _faiss.IndexPreTransform):
        return _faiss.SearchParametersPreTransform(index_params=parameters)
    return parameters


def _behind(index: faiss.Index) -> Any:
    """What searches the vectors once they are reduced."""
    downcast = _faiss.downcast_index(index)
    if isinstance(downcast, _faiss.IndexPreTransform):
        return _faiss.downcast_index(downcast.index)
    return downcast


def _reason(error: RuntimeError) -> str:
    """FAISS' message without the place in its source code."""
    return str(error).rpartition(": ")[2]


def _write(index: faiss.Index, path: Path) -> None:
    # FAISS' own file writer only prints that closing failed, and a full disk often shows there.
    with new_file(path) as file:
        faiss.write_index(index, _faiss.PyCallbackIOWriter(file.write))
