"""Building a generation in a hidden folder, publishing it by one rename, and removing one."""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from threading import Event

import faiss
import numpy as np
from numpy.typing import NDArray

from models.domain.durable_files import make_folder, new_file, sha256_of, sync_folder
from models.domain.errors import Conflict, RecallTooLow
from models.domain.types import EncoderSpec
from models.index.faiss_index import open_mapped, set_threads, write_exact_index, write_index
from models.index.generation import IndexSearcher
from models.index.manifest import (
    FORMAT_VERSION,
    IDS_FILE,
    INDEX_FILE,
    MANIFEST_FILE,
    METRIC,
    ROWS_FILE,
    Manifest,
    data_files,
    to_json,
)
from models.index.plan import EXACT, IndexPlan, default_memory_bytes, plan_index, plan_of
from models.index.recall import (
    MAX_QUERIES,
    HeldOutQuery,
    Measurement,
    held_out_queries,
    measure,
    tune,
)
from models.index.rows import Rows, write_rows

SAMPLE_BLOCK = 4_096
BEAT_EVERY_S = 2.0
LEAST_RAISE = 0.005
"""Of the recall that an index is tuned to, where it was measured under its target."""


@dataclass(frozen=True, slots=True)
class BuiltGeneration:
    """A published generation; `manifest_sha256` is recorded to verify later that it is the same."""

    manifest: Manifest
    manifest_sha256: str


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How a generation is built.

    `factory` is a FAISS factory string instead of what `plan_index` chooses for that many rows in
    `memory_bytes`. `seed` selects the rows that train the index and measure it: the same input
    gives the same files, except for the times in the manifest.
    """

    factory: str | None = None
    memory_bytes: int = field(default_factory=default_memory_bytes)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class _MeasuredIndex:
    """An index on the disk: its plan, search parameters, and measured recall and latency."""

    plan: IndexPlan
    searcher: IndexSearcher
    measurement: Measurement


def build_generation(
    target: Path,
    batches: Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]],
    *,
    encoder: EncoderSpec,
    last_change: int,
    created_at: datetime,
    recall_target: float,
    options: BuildOptions | None = None,
    heartbeat: Callable[[int], None] = lambda _rows: None,
) -> BuiltGeneration:
    """Build the generation of all rows in `batches` in the new folder `target`.

    A batch is photo ids (n,) and their vectors (n, dimension) of unit length; ids ascend, over all
    batches. `last_change` is the last change number that the rows reflect. `heartbeat` gets the
    number of rows read so far, then all of them during each later step; what it raises stops the
    build.

    Rows are written straight to the disk; only the index and its training rows are in memory.
    `target` is published atomically: it either does not exist or is complete and durable. A killed
    build's leftovers are removed by the next build or `remove_generation` of the same target. A
    generation without rows is valid, with a recall of 1.

    Raises Conflict if `target` exists, InvalidInput if a photo comes twice or its vector is not
    usable or FAISS knows no such factory, RecallTooLow if recall@10 is under `recall_target`
    however the index is searched, OSError if the disk is full.
    """
    options = options or BuildOptions()
    if target.exists():
        raise Conflict(f"{target} exists; a generation is never written over.")
    make_folder(target.parent)
    _remove_leftovers(target)
    folder = _sibling(target)
    folder.mkdir()
    try:
        rows = write_rows(folder / ROWS_FILE, batches, encoder.dimension, heartbeat)
        beat = partial(heartbeat, len(rows))
        plan = _plan(len(rows), encoder.dimension, recall_target, options)
        index = _index_rows(folder, rows, plan, recall_target, options.seed, beat)
        manifest = _manifest(
            folder,
            encoder,
            index,
            rows=len(rows),
            last_change=last_change,
            created_at=created_at,
            seed=options.seed,
            beat=beat,
        )
        raw = to_json(manifest)
        with new_file(folder / MANIFEST_FILE) as file:
            file.write(raw)
        beat()
        _publish(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return BuiltGeneration(manifest, sha256(raw).hexdigest())


def _manifest(
    folder: Path,
    encoder: EncoderSpec,
    index: _MeasuredIndex,
    *,
    rows: int,
    last_change: int,
    created_at: datetime,
    seed: int,
    beat: Callable[[], None],
) -> Manifest:
    """The description of a generation whose files are written."""
    names = sorted(data_files(index.plan.factory))
    return Manifest(
        format_version=FORMAT_VERSION,
        encoder=encoder.name,
        fingerprint=encoder.fingerprint,
        dimension=encoder.dimension,
        metric=METRIC,
        factory=index.plan.factory,
        why=index.plan.why,
        rows=rows,
        last_change=last_change,
        effort=index.searcher.effort,
        candidates=index.searcher.candidates,
        recall_at_10=index.measurement.recall_at_10,
        queries=index.measurement.queries,
        p50_ms=index.measurement.p50_ms,
        p95_ms=index.measurement.p95_ms,
        seed=seed,
        bytes=sum((folder / name).stat().st_size for name in names),
        created_at=created_at.isoformat(),
        files=_hashed(folder, names, beat),
    )


def remove_generation(folder: Path) -> bool:
    """Delete a generation and the leftovers of killed builds or removals of it; idempotent.

    Returns False, and does nothing, while a process of this machine has it open. If it is killed,
    the folder is either complete or gone, and a second call deletes the rest. Raises OSError.
    """
    if not _unpublish(folder):
        return False
    _remove_leftovers(folder)
    return True


def _unpublish(folder: Path) -> bool:
    """Rename the folder, so that it can't be opened any more; False if a process has it open."""
    try:
        manifest = (folder / MANIFEST_FILE).open("rb")
    except (FileNotFoundError, NotADirectoryError):
        if folder.exists():  # damaged, so no process can have opened it
            folder.rename(_sibling(folder))
            sync_folder(folder.parent)
        return True
    with manifest:
        try:
            fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        folder.rename(_sibling(folder))
        sync_folder(folder.parent)
    return True


def _plan(rows: int, dimension: int, recall_target: float, options: BuildOptions) -> IndexPlan:
    if options.factory is not None and rows:
        return plan_of(options.factory, dimension)
    return plan_index(
        rows, dimension, recall_target=recall_target, memory_bytes=options.memory_bytes
    )


def _index_rows(
    folder: Path,
    rows: Rows,
    plan: IndexPlan,
    recall_target: float,
    seed: int,
    beat: Callable[[], None],
) -> _MeasuredIndex:
    """Write the index of the rows and their ids, tune and measure it. Raises RecallTooLow."""
    with new_file(folder / IDS_FILE) as file:
        np.save(file, rows.ids, allow_pickle=False)
    # A random order: queries come from its beginning, training rows from its end.
    order = np.random.default_rng(seed).permutation(len(rows))
    _write_index(folder / INDEX_FILE, rows, plan, order[::-1], beat)
    queries = held_out_queries(rows, order[:MAX_QUERIES], beat)
    searcher, measured = _measured(folder / INDEX_FILE, rows, plan, recall_target, queries, beat)
    if measured.recall_at_10 < recall_target:
        raise RecallTooLow(
            f"Recall@10 is {measured.recall_at_10:.3f} with {plan.factory}, under the target "
            f"of {recall_target}, with {searcher.effort} of {searcher.most} lists read and "
            f"{searcher.candidates} rows scored again. An index that looks at every row, "
            f"{EXACT}, meets any target."
        )
    if plan.exact:
        (folder / ROWS_FILE).unlink()  # the index holds them
    return _MeasuredIndex(plan, searcher, measured)


def _write_index(
    path: Path,
    rows: Rows,
    plan: IndexPlan,
    order: NDArray[np.int64],
    beat: Callable[[], None],
) -> None:
    if plan.exact:
        write_exact_index(path, rows.stored, beat)
        return

    def sample(count: int) -> Iterator[NDArray[np.float32]]:
        # A random sample, read in the order of the file: sequential reads are fast.
        positions = np.sort(order[:count])
        for start in range(0, len(positions), SAMPLE_BLOCK):
            yield rows.take(positions[start : start + SAMPLE_BLOCK])

    _run_with_heartbeat(
        beat,
        lambda going: write_index(
            path, plan, rows.stored.shape[1], sample, takewhile(going, rows.blocks())
        ),
    )


def _run_with_heartbeat(
    beat: Callable[[], None], work: Callable[[Callable[[object], bool]], None]
) -> None:
    """Run `work` in a thread and call `beat` meanwhile: training takes minutes without callbacks.

    `work` gets a predicate that turns false when it has to stop. The thread is joined even if
    `beat` raises.
    """
    stop = Event()
    # OpenMP's thread count is set for each calling thread.
    threads = faiss.omp_get_max_threads()
    with ThreadPoolExecutor(1, "index-build", set_threads, (threads,)) as executor:
        done = executor.submit(work, lambda _: not stop.is_set())
        try:
            while wait([done], timeout=BEAT_EVERY_S).not_done:
                beat()
        finally:
            stop.set()
        done.result()
    beat()


def _hashed(folder: Path, names: Sequence[str], beat: Callable[[], None]) -> dict[str, str]:
    hashes: dict[str, str] = {}

    def hash_all(going: Callable[[object], bool]) -> None:
        hashes.update({name: sha256_of(folder / name) for name in takewhile(going, names)})

    _run_with_heartbeat(beat, hash_all)
    return hashes


def _measured(
    path: Path,
    rows: Rows,
    plan: IndexPlan,
    target: float,
    queries: Sequence[HeldOutQuery],
    beat: Callable[[], None],
) -> tuple[IndexSearcher, Measurement]:
    """The index mapped from its file as for serving, tuned, and its measurement.

    It is tuned on some queries and measured on others, so that the recall is not biased. Where
    those find less than the target, by chance, it is tuned to more, as long as there is more.
    """
    index = open_mapped(path)
    most = plan.most_effort(len(rows))
    if plan.exact:
        searcher = IndexSearcher(rows, index, plan.exact, 0, 0, most)
        return searcher, measure(searcher, queries, beat)
    wanted = target
    while True:
        tuned = tune(rows, index, plan, queries[::2], wanted, beat)
        searcher = IndexSearcher(rows, index, plan.exact, tuned.effort, tuned.candidates, most)
        measured = measure(searcher, queries[1::2], beat)
        short = target - measured.recall_at_10
        if short <= 0 or tuned.recall_at_10 < wanted:
            return searcher, measured
        wanted += max(2 * short, LEAST_RAISE)


def _publish(built: Path, target: Path) -> None:
    try:
        sync_folder(built)
        built.rename(target)
    except OSError as error:
        if target.exists():  # another build of the same target took over
            raise Conflict(f"{target} exists; a generation is never written over.") from error
        raise
    sync_folder(target.parent)


def _sibling(folder: Path) -> Path:
    """A new hidden name beside `folder`, which is never taken for a generation."""
    # Unique: a stalled build must not write into the folder of the build that replaced it.
    return folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}")


def _remove_leftovers(folder: Path) -> None:
    sibling = re.compile(rf"\.{re.escape(folder.name)}\.\d+-[0-9a-f]{{8}}")
    for path in folder.parent.glob(".*"):
        if sibling.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)  # another process may be deleting it
