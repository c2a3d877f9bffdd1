"""Every call into FAISS. Rows are numbered by position.

FAISS finds candidates; how similar they are is computed elsewhere, from the vectors themselves.
Candidates are the nearest by Euclidean distance: for unit vectors that is the order of the cosine,
and after PCA has shortened them a better approximation of it than the inner product.
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
"""A deterministic sample of so many rows, at most all, in blocks (n, dimension)."""


def set_threads(threads: int) -> None:
    """Let FAISS use this many OpenMP threads, when it is called from this thread."""
    faiss.omp_set_num_threads(threads)


def write_exact_index(path: Path, stored: NDArray[np.float16], beat: Callable[[], None]) -> None:
    """Write an exhaustive index of the rows (n, dimension), durably, to `path`.

    Holds all rows in memory. Raises OSError, after which `path` may be incomplete.
    """
    index = faiss.index_factory(stored.shape[1], EXACT, faiss.METRIC_INNER_PRODUCT)
    index.add_sa_codes(np.ascontiguousarray(stored).view(np.uint8))
    beat()
    _write(index, path)


def write_index(
    path: Path, plan: IndexPlan, dimension: int, sample: Sample, blocks: Blocks
) -> None:
    """Train an index as planned, add the rows in `blocks` in order, write it durably to `path`.

    Only the index and its training rows are in memory. Raises InvalidInput if there is no such
    factory or there are too few rows for it, and OSError, after which `path` may be incomplete.
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
    inner = _inner_index(index)
    if isinstance(inner, faiss.IndexIVF):
        # Queries come one at a time: threads share the lists of one, instead of the queries.
        inner.parallel_mode = PARALLEL_OVER_LISTS
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

    `effort` is how many lists are read (nprobe), or the candidate list of a graph search
    (efSearch). `live`, if given, holds one bit a row, the lowest first: only rows whose bit is set
    are found. The index is not changed, so that searches may share it. Raises InvalidInput for a
    kind of index that can't be searched with these parameters.
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
    found = positions[0] >= 0  # FAISS pads missing results with -1
    return positions[0][found], scores[0][found]


def _trained(index: faiss.Index, plan: IndexPlan, sample: Sample) -> faiss.Index:
    """Train the reduction on full vectors, then the inner index on reduced ones, to save memory."""
    downcast = _faiss.downcast_index(index)
    if not isinstance(downcast, _faiss.IndexPreTransform):
        if not index.is_trained:
            index.train(np.concatenate(list(sample(plan.training_rows))))
        return index
    reduction = _faiss.downcast_VectorTransform(downcast.chain.at(0))
    reduction.train(np.concatenate(list(sample(PCA_TRAINING_ROWS))))
    reduced = [reduction.apply(block) for block in sample(plan.training_rows)]
    inner = _faiss.downcast_index(downcast.index)
    if not inner.is_trained:
        inner.train(np.concatenate(reduced))
    whole = _faiss.IndexPreTransform(_without_training_state(reduction), inner)
    whole.referenced_objects.append(index)  # it owns `inner`, which is not copied
    lean: faiss.Index = whole
    return lean


def _without_training_state(reduction: faiss.LinearTransform) -> faiss.LinearTransform:
    """The same linear map without its training state: PCA stores all directions, in files too."""
    lean: faiss.LinearTransform = _faiss.LinearTransform(reduction.d_in, reduction.d_out, True)
    matrix = _faiss.vector_to_array(reduction.A)[: reduction.d_in * reduction.d_out]
    offset = _faiss.vector_to_array(reduction.b)
    _faiss.copy_array_to_vector(matrix, lean.A)
    _faiss.copy_array_to_vector(offset if offset.size else np.zeros(lean.d_out, np.float32), lean.b)
    lean.is_trained = True
    return lean


def _parameters(
    index: faiss.Index, effort: int, selector: faiss.IDSelector | None
) -> faiss.SearchParameters:
    """New search parameters for each search, as shared ones would be a data race."""
    inner = _inner_index(index)
    parameters: faiss.SearchParameters
    if isinstance(inner, faiss.IndexIVF):
        parameters = _faiss.SearchParametersIVF(sel=selector, nprobe=effort)
    elif isinstance(inner, faiss.IndexHNSW):
        parameters = _faiss.SearchParametersHNSW(sel=selector, efSearch=effort)
    else:
        parameters = _faiss.SearchParameters(sel=selector)
    if isinstance(_faiss.downcast_index(index), _faiss.IndexPreTransform):
        parameters = _faiss.SearchParametersPreTransform(index_params=parameters)
    return parameters


def _inner_index(index: faiss.Index) -> faiss.Index:
    """The index that searches the vectors after the dimensionality reduction."""
    inner: faiss.Index = _faiss.downcast_index(index)
    if isinstance(inner, faiss.IndexPreTransform):
        inner = _faiss.downcast_index(inner.index)
    return inner


def _reason(error: RuntimeError) -> str:
    """FAISS' message without the place in its source code."""
    return str(error).rpartition(": ")[2]


def _write(index: faiss.Index, path: Path) -> None:
    # FAISS' own file writer only prints an error of close, where a full disk often shows.
    with new_file(path) as file:
        faiss.write_index(index, _faiss.PyCallbackIOWriter(file.write))
