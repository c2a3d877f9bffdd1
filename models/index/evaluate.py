"""How much an index loses against exact search, and how long one search takes."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.index.rows import SpooledRows

MAX_QUERIES = 64
RECALL_DEPTH = 10
# float32 sums of a few thousand products differ by about this much with the order of summation.
TIE_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Measurement:
    """`recall_at_10` in [0, 1] against exact search; `p50_ms`, the median time of one search."""

    recall_at_10: float
    p50_ms: float


def top_scores(
    queries: NDArray[np.float32], blocks: Iterable[NDArray[np.float32]], k: int
) -> NDArray[np.float32]:
    """The exact `k` highest inner products of each query (q, dimension) with all rows: (q, k).

    Best first; -inf where there are fewer than `k` rows. The rows come as blocks (n, dimension).
    """
    best = np.full((len(queries), k), -np.inf, dtype=np.float32)
    for block in blocks:
        scores = np.concatenate([best, queries @ block.T], axis=1)
        best = np.partition(scores, -k, axis=1)[:, -k:]
    return -np.sort(-best, axis=1)


def recall_at_k(exact: NDArray[np.float32], found: list[NDArray[np.float32]]) -> float:
    """The share of the best rows that were found, by score, so that ties count as found.

    `exact` (q, k) are the scores of the k best rows of each query; `found` holds for each query
    the exact scores of the at most k rows that the index returned.
    """
    hits = sum(
        int(np.count_nonzero(scores >= best.min() - TIE_TOLERANCE))
        for best, scores in zip(exact, found, strict=True)
    )
    return hits / exact.size


def measure(
    search: Callable[[NDArray[np.float32], int], NDArray[np.int64]],
    rows: SpooledRows,
    *,
    rng: np.random.Generator,
    beat: Callable[[], None],
) -> Measurement:
    """Search for up to 64 of the rows, and compare with exact search.

    `search` gives the positions of the k best rows for a query; the query's own row counts.
    `beat` is called after each piece of work.
    Without rows nothing can be missed: recall is 1 and the time 0.
    """
    if not len(rows):
        return Measurement(recall_at_10=1.0, p50_ms=0.0)
    depth = min(RECALL_DEPTH, len(rows))
    queries = rows.sample(MAX_QUERIES, rng)
    exact = top_scores(queries, rows.blocks(beat), depth)
    found, seconds = [], []
    for query in queries:
        start = time.perf_counter()
        positions = search(query, depth)
        seconds.append(time.perf_counter() - start)
        found.append(rows.take(positions) @ query)
        beat()
    return Measurement(recall_at_k(exact, found), float(np.median(seconds)) * 1000)
