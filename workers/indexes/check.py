"""The recall of a generation, measured against exact search over the database."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.session import Database
from db.statements import is_postgresql
from db.vectors.embeddings import Vectors, live_vectors
from models.domain.errors import Conflict
from models.evaluation.intervals import Estimate, cluster_means
from models.index.generation import RECALL_DEPTH, Generation
from models.index.recall import recall_at_k
from models.index.vector_index import VectorIndex
from workers.indexes.replay import replay

OnProgress = Callable[[str, int, int], None]
"""Called with a step, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """The recall@10 of searches in an index against exact search, and how long a search takes.

    Of the `rows` live photos, `fresh` are newer than the generation; `gone` are photos of it that
    are no longer live. `queries` photos were searched by; a query is not its own result.
    """

    rows: int
    fresh: int
    gone: int
    queries: int
    recall_at_10: Estimate
    p50_ms: float
    p95_ms: float

    def to_json(self) -> dict[str, object]:
        """The measurements as JSON values."""
        return asdict(self)


def check_index(
    database: Database,
    generation: Generation,
    encoder_id: int,
    *,
    queries: int,
    seed: int,
    on_progress: OnProgress = lambda *_: None,
) -> IndexCheck:
    """Search by live photos drawn at random, as a search worker would, and compare.

    The changes since the generation are applied first. All is read in one database snapshot, the
    vectors twice, in batches. Raises Conflict where there are no two live photos.
    """
    index = VectorIndex(generation.manifest.dimension)
    index.swap(generation)
    rng = np.random.default_rng(seed)
    with _snapshot(database) as session:
        replay(session, index, encoder_id, index.last_change)
        total = index.rows
        batches = _reported(session, encoder_id, "drawing", total, on_progress)
        drawn, vectors = _draw(batches, generation.manifest.dimension, queries, rng)
        if len(drawn) == 0 or total < 2:  # noqa: PLR2004 - one to search by, one to find
            raise Conflict("There are no two live photos to search by and find.")
        exact = _exact(
            _reported(session, encoder_id, "comparing", total, on_progress),
            drawn,
            vectors,
            depth=min(RECALL_DEPTH, total - 1),
        )
    recalls, seconds = [], []
    for number, (photo_id, vector, best) in enumerate(zip(drawn, vectors, exact, strict=True)):
        start = time.perf_counter()
        matches = index.search(vector, len(best) + 1)
        seconds.append(time.perf_counter() - start)
        found = [match.similarity for match in matches if match.photo_id != photo_id]
        recalls.append(recall_at_k([best], [np.array(found[: len(best)], np.float32)]))
        on_progress("searching", number + 1, len(drawn))
    means = cluster_means(np.array(recalls)[:, np.newaxis], np.arange(len(drawn)), rng)
    p50, p95 = np.percentile(seconds, [50, 95]) * 1e3
    return IndexCheck(
        rows=total,
        fresh=index.fresh_count,
        gone=index.tombstone_count,
        queries=len(drawn),
        recall_at_10=means.of(0),
        p50_ms=float(p50),
        p95_ms=float(p95),
    )


@contextmanager
def _snapshot(database: Database) -> Generator[Session]:
    """A transaction that sees one state of the database, however long it takes."""
    with database.read() as session:
        if is_postgresql(session):
            # By default each statement sees the latest commits; SQLite reads one snapshot anyway.
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session


def _reported(
    session: Session, encoder_id: int, what: str, total: int, on_progress: OnProgress
) -> Iterator[Vectors]:
    """Every live vector in order of photo id, in batches."""
    done = 0
    for ids, vectors in live_vectors(lambda: nullcontext(session), encoder_id):
        yield ids, vectors
        done += len(ids)
        on_progress(what, done, max(done, total))


def _draw(
    batches: Iterator[Vectors], dimension: int, count: int, rng: np.random.Generator
) -> Vectors:
    """A uniform sample of `count` of the rows, or all if fewer."""
    keys = np.empty(0)
    drawn: Vectors = np.empty(0, np.int64), np.empty((0, dimension), np.float32)
    for ids, vectors in batches:
        keys = np.concatenate([keys, rng.random(len(ids))])
        kept = np.argsort(keys)[:count]
        keys = keys[kept]
        drawn = (
            np.concatenate([drawn[0], ids])[kept],
            np.concatenate([drawn[1], vectors])[kept],
        )
    return drawn


def _exact(
    batches: Iterator[Vectors], own: NDArray[np.int64], queries: NDArray[np.float32], depth: int
) -> NDArray[np.float32]:
    """The highest `depth` cosines (q, depth) of each query (q, d) with all rows but its own."""
    best = np.full((len(queries), depth), -np.inf, np.float32)
    for ids, vectors in batches:
        scores = queries @ vectors.T
        scores[own[:, np.newaxis] == ids] = -np.inf
        best = np.partition(np.concatenate([best, scores], axis=1), -depth, axis=1)[:, -depth:]
    return best
