"""What an index of many photos costs: recall, time and memory, beside exact search and other kinds.

    python -m benchmarks.index --rows 1000000 [--compare] [--figure FOLDER] [--json]

The vectors are drawn (see `benchmarks.features`); the generation is built, opened and searched by
the code that serves. Queries are new photos of items in the catalogue. Flat is FAISS' float32
index in memory, asked in the same run with as many threads. Memory is what the kernel says of
processes that opened the generation and answered all queries: one, then four at once. `--compare`
builds other kinds of index of the same rows and tunes each for the same recall; its plot needs
the extra `train`.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any, Final, TypeVar

import faiss
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.features import DIMENSION, DrawnFeatures, Floats
from benchmarks.index_filters import filtered
from benchmarks.memory import Peak, anonymous_bytes, mapped_bytes
from models.domain.types import EncoderSpec
from models.index.build import BuildOptions, build_generation
from models.index.faiss_index import open_mapped, set_threads, write_index
from models.index.generation import RECALL_DEPTH, IndexSearcher, open_generation
from models.index.manifest import MANIFEST_FILE
from models.index.plan import plan_index, plan_of
from models.index.recall import HeldOutQuery, measure, recall_at_k, top_scores, tune
from models.index.rows import Rows
from models.index.vector_index import VectorIndex

T = TypeVar("T")

SEED: Final = 0
MEMORY_BYTES: Final = 4 * 2**30
"""What the planned index may take, whatever the machine has: the figures are to be comparable."""
THREADS: Final = 2
SPEC: Final = EncoderSpec("drawn", DIMENSION, "0" * 64)
FLAT_QUERIES: Final = 15
PROCESSES: Final = 4
QUERIES_FILE: Final = "queries.npy"
OTHERS: Final = (
    "PCA128,SQ8",
    "PCA128,IVF{lists},SQ4",
    "PCA64,IVF{lists},SQ8",
    "PCA256,IVF{lists},SQ8",
    "PCA128,IVF{lists},PQ64x4fs",
    "PCA128,IVF{lists},RaBitQ",
    "PCA128,HNSW32,SQ8",
)
"""Kinds of index beside the planned one; the best candidates of each are scored again."""

screen = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Point:
    """An index searched with so much effort."""

    effort: int
    candidates: int
    recall_at_10: float
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of index: `tuned` for the recall that is wanted, and searched with other efforts."""

    factory: str
    build_s: float
    index_bytes_per_vector: float
    tuned: Point
    points: list[Point]


def main(
    *,
    rows: Annotated[int, typer.Option(min=1_000, help="How many vectors.")] = 1_000_000,
    queries: Annotated[int, typer.Option(help="How many searches are measured.")] = 500,
    recall_target: Annotated[float, typer.Option(help="Recall@10 that is wanted.")] = 0.95,
    compare: Annotated[bool, typer.Option("--compare", help="Other kinds of index, too.")] = False,
    figure: Annotated[Path | None, typer.Option(help="Folder for the plot.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Build, serve, measure; then the other kinds, if they are asked for."""
    set_threads(THREADS)
    with TemporaryDirectory(prefix="marketlens-index-") as folder:
        target = Path(folder) / "generation"
        figures = alone(partial(build, target, rows, queries, recall_target))
        say(figures)
        held_out = asked(target)
        figures |= alone(partial(serve, target, held_out))
        flat_ms = alone(partial(flat, target, held_out))
        figures |= {"flat_p50_ms": flat_ms, "speedup_vs_flat": flat_ms / figures["p50_ms"]}
        figures |= shared(target, held_out)
        figures["filters"] = alone(partial(with_filters, target, held_out))
        say(figures)
        kinds = []
        if compare:
            lists = plan_index(rows, DIMENSION, recall_target=recall_target, memory_bytes=0).lists
            factories = [figures["factory"], *(kind.format(lists=lists) for kind in OTHERS)]
            for factory in factories:
                trial = partial(tried, target, factory, held_out, recall_target)
                kinds.append(alone(trial))
                screen.print(table(kinds))
    if figure:
        from benchmarks.index_plot import draw  # noqa: PLC0415 - matplotlib is an extra

        draw([asdict(kind) for kind in kinds], rows, figures["flat_p50_ms"], figure)
    if as_json:
        answer = {**figures, "kinds": [asdict(kind) for kind in kinds]}
        sys.stdout.write(json.dumps(answer) + "\n")


def alone(work: Callable[[], T]) -> T:
    """Do the work in a process of its own, so that its memory is its own, too."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work).result()


def build(target: Path, rows: int, queries: int, recall_target: float) -> dict[str, Any]:
    """Draw the catalogue and build its generation, as a reindex does."""
    set_threads(THREADS)
    features, rng = DrawnFeatures(SEED), np.random.default_rng(SEED + 1)
    drawing, kept = 0.0, []

    def batches() -> Iterator[tuple[NDArray[np.int64], Floats]]:
        nonlocal drawing
        drawn = features.catalogue(rows, rng)
        while True:
            started = perf_counter()
            batch = next(drawn, None)
            drawing += perf_counter() - started
            if batch is None:
                return
            kept.append(batch.items[:queries])
            yield batch.ids, batch.vectors

    started = perf_counter()
    with Peak() as peak:
        manifest = build_generation(
            target,
            batches(),
            encoder=SPEC,
            last_change=0,
            created_at=datetime.now(UTC),
            recall_target=recall_target,
            options=BuildOptions(memory_bytes=MEMORY_BYTES, seed=SEED),
        ).manifest
    build_s = perf_counter() - started - drawing
    items = np.concatenate(kept)
    known = items[rng.choice(len(items), min(queries, len(items)), replace=False)]
    np.save(target.with_name(QUERIES_FILE), features.photos(known, rng))
    return {
        "rows": manifest.rows,
        "dimension": manifest.dimension,
        "factory": manifest.factory,
        "effort": manifest.effort,
        "candidates": manifest.candidates,
        "build_s": build_s,
        "build_peak_mb": peak.resident / 1e6,
        "build_peak_private_mb": peak.anonymous / 1e6,
    }


def asked(target: Path) -> list[HeldOutQuery]:
    """The queries, and what exact search finds for them."""
    vectors = np.load(target.with_name(QUERIES_FILE))
    rows = opened_rows(target)
    nobody = np.full(len(vectors), -1, np.int64)
    best = top_scores(vectors, nobody, rows, RECALL_DEPTH)
    return [HeldOutQuery(vector, -1, scores) for vector, scores in zip(vectors, best, strict=True)]


def serve(target: Path, queries: Sequence[HeldOutQuery]) -> dict[str, Any]:
    """Answer every query as a search worker does."""
    set_threads(THREADS)
    before = anonymous_bytes()
    index = opened(target)
    found, seconds = [], []
    for query in queries:
        started = perf_counter()
        matches = list(islice(index.matches(query.vector, expect=RECALL_DEPTH), RECALL_DEPTH))
        seconds.append(perf_counter() - started)
        found.append(np.array([match.similarity for match in matches], np.float32))
    p50, p95 = np.percentile(seconds, [50, 95]) * 1e3
    return {
        "recall_at_10": recall_at_k([query.best for query in queries], found),
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "private_bytes_per_vector": (anonymous_bytes() - before) / index.rows,
        "mapped_bytes_per_vector": sum(
            path.stat().st_size for path in target.iterdir() if path.name != MANIFEST_FILE
        )
        / index.rows,
    }


def flat(target: Path, queries: Sequence[HeldOutQuery]) -> float:
    """The median milliseconds of FAISS' exact float32 index over the same vectors."""
    set_threads(THREADS)
    index = faiss.IndexFlatIP(DIMENSION)
    rows = opened_rows(target)
    for block in rows.blocks():
        index.add(block)
    seconds = []
    for query in queries[:FLAT_QUERIES]:
        started = perf_counter()
        index.search(query.vector[np.newaxis], RECALL_DEPTH)
        seconds.append(perf_counter() - started)
    return float(np.median(seconds)) * 1e3


def with_filters(target: Path, queries: Sequence[HeldOutQuery]) -> list[dict[str, Any]]:
    """Searches of which only some photos may be found."""
    set_threads(THREADS)
    return filtered(opened(target), opened_rows(target), [each.vector for each in queries])


def shared(target: Path, queries: Sequence[HeldOutQuery]) -> dict[str, Any]:
    """What the index takes in one process, and in several that serve it at the same time."""
    totals = []
    for processes in (1, PROCESSES):
        context = get_context("spawn")
        barrier = context.Manager().Barrier(processes)
        with ProcessPoolExecutor(processes, context) as pool:
            work = [pool.submit(taken, target, queries, barrier) for _ in range(processes)]
            totals.append(sum(each.result() for each in work))
    one, several = totals
    return {"index_pss_mb": one / 1e6, f"pss_of_{PROCESSES}_to_1": several / one}


def taken(target: Path, queries: Sequence[HeldOutQuery], barrier: Any) -> float:
    """Serve, and give this process' share of the index: of its files, and what is its own."""
    set_threads(1)
    before = anonymous_bytes()
    index = opened(target)
    for query in queries:
        next(index.matches(query.vector, expect=RECALL_DEPTH))
    barrier.wait()
    share = mapped_bytes(target) + anonymous_bytes() - before
    barrier.wait()
    return share


def tried(
    target: Path, factory: str, queries: Sequence[HeldOutQuery], recall_target: float
) -> Kind:
    """Build another kind of index of the same rows, tune it by half of the queries."""
    set_threads(THREADS)
    rows, plan = opened_rows(target), plan_of(factory, DIMENSION)
    path = target.with_name("index.faiss")
    order = np.random.default_rng(SEED).permutation(len(rows))
    started = perf_counter()
    write_index(path, plan, DIMENSION, partial(sampled, rows, order), rows.blocks())
    build_s = perf_counter() - started
    index = open_mapped(path)
    tuned = tune(rows, index, plan, queries[::2], recall_target)
    most = plan.most_effort(len(rows))
    searcher = IndexSearcher(rows, index, False, tuned.effort, tuned.candidates, most)
    efforts = [effort for effort in (4, 8, 16, 32, 64, 128, 256, 512) if effort <= most] or [most]
    points = [pointed(replace(searcher, effort=effort), queries[1::2]) for effort in efforts]
    size = path.stat().st_size / len(rows)
    path.unlink()
    return Kind(factory, build_s, size, pointed(searcher, queries[1::2]), points)


def pointed(searcher: IndexSearcher, queries: Sequence[HeldOutQuery]) -> Point:
    """How an index does that is searched in this way."""
    measured = measure(searcher, queries)
    return Point(
        searcher.effort,
        searcher.candidates,
        measured.recall_at_10,
        measured.p50_ms,
        measured.p95_ms,
    )


def sampled(rows: Rows, order: NDArray[np.int64], count: int) -> Iterator[Floats]:
    """So many rows, in blocks."""
    for positions in np.array_split(np.sort(order[:count]), max(1, count // 4_096)):
        yield rows.take(positions)


def opened(target: Path) -> VectorIndex:
    """The generation as a worker serves it."""
    index = VectorIndex(DIMENSION)
    index.swap(open_generation(target, None, fingerprint=SPEC.fingerprint))
    return index


def opened_rows(target: Path) -> Rows:
    """The rows of the generation."""
    return open_generation(target, None, fingerprint=SPEC.fingerprint).rows


def table(kinds: Sequence[Kind]) -> Table:
    """The kinds of index, side by side."""
    shown = Table(
        "index", "effort", "scored again", "recall@10", "p50 ms", "p95 ms", "bytes", "build s"
    )
    for kind in kinds:
        point = kind.tuned
        shown.add_row(
            kind.factory,
            str(point.effort),
            str(point.candidates),
            f"{point.recall_at_10:.3f}",
            f"{point.p50_ms:.2f}",
            f"{point.p95_ms:.2f}",
            f"{kind.index_bytes_per_vector:.0f}",
            f"{kind.build_s:.0f}",
        )
    return shown


def say(figures: dict[str, Any]) -> None:
    """Print figures, one a line."""
    for name, value in figures.items():
        screen.print(
            f"{name:>28}  {value:,.3f}" if isinstance(value, float) else f"{name:>28}  {value}"
        )


if __name__ == "__main__":
    typer.run(main)
