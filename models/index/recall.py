"""Recall and latency of an index against exact search, and the choice of its search parameters."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from models.index.faiss_index import nearest
from models.index.generation import RECALL_DEPTH, IndexSearcher
from models.index.plan import IndexPlan
from models.index.rows import Rows
from models.index.unit_vectors import cosines

MAX_QUERIES = 512
# float32 sums of a few thousand products differ by about this much with the order of summation.
TIE_TOLERANCE = 1e-6
CANDIDATES = (20, 40, 80, 160, 320, 640)
"""The numbers of rows to score again for a search for ten."""
# Measured recall has a sampling error: the target is met by this many standard errors.
STANDARD_ERRORS = 2.0
# Reading one vector costs about this much more than as many bytes of a list, read in sequence.
RANDOM_READ_COST = 2.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """`recall_at_10` in [0, 1] against exact search over `queries` searches, and their times."""

    recall_at_10: float
    queries: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutQuery:
    """A photo's vector (dimension,), and the exact cosines of its nearest neighbours, best first.

    The photo itself is not among them.
    """

    vector: NDArray[np.float32]
    photo_id: int
    best: NDArray[np.float32]


def held_out_queries(
    rows: Rows, positions: NDArray[np.int64], beat: Callable[[], None] = lambda: None
) -> list[HeldOutQuery]:
    """The rows at `positions` (n,) as queries, answered by exact search.

    Each query's own row is excluded. `beat` is called after each piece of work.
    """
    depth = min(RECALL_DEPTH, len(rows) - 1)
    if depth < 1:
        return []
    vectors = rows.take(positions)
    best = top_scores(vectors, positions, rows, depth, beat)
    return [
        HeldOutQuery(vector, int(photo_id), scores)
        for vector, photo_id, scores in zip(vectors, rows.ids[positions], best, strict=True)
    ]


def top_scores(
    queries: NDArray[np.float32],
    positions: NDArray[np.int64],
    rows: Rows,
    k: int,
    beat: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """The exact `k` highest cosines (q, k) of each query (q, dimension) with all rows but its own.

    Best first; `positions` (q,) are the queries' own.
    """
    best = np.full((len(queries), k), -np.inf, dtype=np.float32)
    start = 0
    for block in rows.blocks():
        scores = queries @ block.T
        own = (positions >= start) & (positions < start + len(block))
        scores[own, positions[own] - start] = -np.inf
        scores = np.concatenate([best, scores], axis=1)
        best = np.partition(scores, -k, axis=1)[:, -k:]
        start += len(block)
        beat()
    return -np.sort(-best, axis=1)


def recall_at_k(
    exact: Sequence[NDArray[np.float32]], found: Iterable[NDArray[np.float32]]
) -> float:
    """The share of the best rows that were found, by score, so that ties count as found.

    `exact` holds for each query the scores of the k best rows, `found` the exact scores of the at
    most k rows that the index returned. Without any, nothing was missed.
    """
    wanted = sum(len(best) for best in exact)
    hits = sum(_hits(best, got) for best, got in zip(exact, found, strict=True))
    return hits / wanted if wanted else 1.0


def measure(
    searcher: IndexSearcher,
    queries: Sequence[HeldOutQuery],
    beat: Callable[[], None] = lambda: None,
) -> Measurement:
    """Search for the ten nearest of each query, as a search worker would, and compare."""
    found, seconds = [], []
    for query in queries:
        start = time.perf_counter()
        best = searcher.best(query.vector, len(query.best) + 1)
        seconds.append(time.perf_counter() - start)
        others = best.cosines[best.ids != query.photo_id]
        found.append(-np.sort(-others)[: len(query.best)])
        beat()
    p50, p95 = np.percentile(seconds, [50, 95]) * 1e3 if seconds else (0.0, 0.0)
    recall = recall_at_k([query.best for query in queries], found)
    return Measurement(recall, len(queries), float(p50), float(p95))


class OperatingPoint(NamedTuple):
    """Search parameters of an index for ten matches, and the recall measured with them."""

    effort: int
    candidates: int
    recall_at_10: float


def tune(
    rows: Rows,
    index: faiss.Index,
    plan: IndexPlan,
    queries: Sequence[HeldOutQuery],
    target: float,
    beat: Callable[[], None] = lambda: None,
) -> OperatingPoint:
    """The cheapest parameters with which recall meets `target`, else those with the best recall.

    Costs are computed from bytes read, not timed, so that the same index always gets the same
    parameters.
    """
    per_effort = plan.bytes_of_effort(len(rows))
    per_candidate = RANDOM_READ_COST * rows.stored.itemsize * rows.stored.shape[1]
    most = plan.most_effort(len(rows))
    best: OperatingPoint | None = None
    good: OperatingPoint | None = None
    cost = math.inf
    for effort in _efforts(most):
        if effort * per_effort >= cost:
            break
        for candidates, recall, error in _recalls(rows, index, queries, effort, beat):
            tried = OperatingPoint(effort, candidates, recall)
            if best is None or recall > best.recall_at_10:
                best = tried
            price = effort * per_effort + candidates * per_candidate
            if recall - STANDARD_ERRORS * error >= target and price < cost:
                good, cost = tried, price
    return good or best or OperatingPoint(most, max(CANDIDATES), 1.0)


def _efforts(most: int) -> Iterator[int]:
    """Efforts that grow by about half each time; finer steps save little."""
    effort = 1
    while effort < most:
        yield effort
        effort += max(1, effort // 2)
    yield most


def _recalls(
    rows: Rows,
    index: faiss.Index,
    queries: Sequence[HeldOutQuery],
    effort: int,
    beat: Callable[[], None],
) -> Iterator[tuple[int, float, float]]:
    """For each number of candidates: the recall and its standard error."""
    shares = []
    for query in queries:
        positions, _ = nearest(index, query.vector, max(CANDIDATES) + 1, effort)
        others = positions[rows.ids[positions] != query.photo_id]
        scores = cosines(rows.take(others), query.vector)
        shares.append([_hits(query.best, scores[:count]) / len(query.best) for count in CANDIDATES])
        beat()
    for count, of_each in zip(CANDIDATES, np.array(shares).T, strict=False):
        yield count, float(of_each.mean()), float(of_each.std() / math.sqrt(len(of_each)))


def _hits(best: NDArray[np.float32], found: NDArray[np.float32]) -> int:
    return int(np.count_nonzero(found >= best.min() - TIE_TOLERANCE))
