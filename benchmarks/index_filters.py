"""Recall and time of filtered searches, by how many photos pass and whether they look alike.

The ways are those of `workers.search.retrieval`, but for reading from the
database which photos pass.
"""

from collections.abc import Sequence
from itertools import islice
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.index.generation import RECALL_DEPTH
from models.index.rows import Rows
from models.index.vector_index import VectorIndex
from workers.search.retrieval import (
    DEFAULT_THRESHOLDS,
    EXPECTED,
    EXPECTED_TO_FILTER,
)

Floats = NDArray[np.float32]

SHARES: Final = (0.5, 0.05, 0.005, 0.0005)
QUERIES: Final = 40
SEED: Final = 2


def filtered(index: VectorIndex, rows: Rows, queries: Sequence[Floats]) -> list[dict[str, Any]]:
    """For each share of photos that pass: at random, and those most alike one photo."""
    queries = queries[:QUERIES]
    rng = np.random.default_rng(SEED)
    centre = rows.take(np.array([rng.integers(len(rows))]))[0]
    scores = np.concatenate(
        [np.stack([*queries, centre]) @ block.T for block in rows.blocks()], axis=1
    )
    figures = []
    for share in SHARES:
        alike = scores[-1] > np.quantile(scores[-1], 1 - share)
        for kind, passing in (("random", rng.random(len(rows)) < share), ("alike", alike)):
            way, recall, p50_ms = _searched(index, rows, queries, scores, passing)
            figures.append(
                {
                    "share": share,
                    "photos": int(np.count_nonzero(passing)),
                    "which": kind,
                    "way": way,
                    "recall_at_10": recall,
                    "p50_ms": p50_ms,
                }
            )
    return figures


def _searched(
    index: VectorIndex,
    rows: Rows,
    queries: Sequence[Floats],
    scores: Floats,
    passing: NDArray[np.bool_],
) -> tuple[str, float, float]:
    ids = rows.ids[passing]
    way, hits, seconds = "", 0, []
    for query, of_all in zip(queries, scores, strict=False):
        best = np.partition(of_all[passing], -RECALL_DEPTH)[-RECALL_DEPTH]
        started = perf_counter()
        way, found = _found(index, rows, query, ids, passing)
        seconds.append(perf_counter() - started)
        hits += sum(similarity >= best - 1e-5 for similarity in found)
    return way, float(hits / len(queries) / RECALL_DEPTH), float(np.median(seconds)) * 1e3


def _found(
    index: VectorIndex,
    rows: Rows,
    query: Floats,
    ids: NDArray[np.int64],
    passing: NDArray[np.bool_],
) -> tuple[str, list[float]]:
    if len(ids) <= DEFAULT_THRESHOLDS.exact_up_to:
        matches = index.among(query, ids)[:RECALL_DEPTH]
        return "compared", [match.similarity for match in matches]
    if len(ids) > DEFAULT_THRESHOLDS.select_up_to:
        looked_at = islice(
            index.matches(query, expect=EXPECTED_TO_FILTER), DEFAULT_THRESHOLDS.overfetch
        )
        passed = (
            match.similarity
            for match in looked_at
            if passing[np.searchsorted(rows.ids, match.photo_id)]
        )
        found = list(islice(passed, RECALL_DEPTH))
        if len(found) == RECALL_DEPTH:
            return "over-fetched", found
    chosen = islice(index.only(query, ids, expect=EXPECTED), RECALL_DEPTH)
    return "selected", [match.similarity for match in chosen]
