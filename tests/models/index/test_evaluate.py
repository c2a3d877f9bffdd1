from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.index.evaluate import measure, recall_at_k, top_scores
from models.index.rows import spool

Draw = Callable[[int], NDArray[np.float32]]


def float32(values: list[float] | list[list[float]]) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def test_top_scores_do_not_depend_on_the_blocks(draw: Draw) -> None:
    rows, queries = draw(50), draw(4)

    got = top_scores(queries, [rows[:3], rows[3:20], rows[20:]], 5)

    assert got == pytest.approx(-np.sort(-(queries @ rows.T), axis=1)[:, :5], abs=1e-6)


def test_recall_counts_the_share_of_the_best_that_were_found() -> None:
    exact = float32([[1.0, 0.9, 0.8, 0.7], [1.0, 0.5, 0.4, 0.3]])
    found = [float32([1.0, 0.9, 0.8, 0.7]), float32([1.0, 0.2])]

    assert recall_at_k(exact, found) == 5 / 8


def test_a_row_tied_with_the_last_of_the_best_counts() -> None:
    exact = float32([[1.0, 0.5]])
    assert recall_at_k(exact, [float32([0.4999999, 0.5])]) == 1.0
    assert recall_at_k(exact, [float32([0.4999, 0.5])]) == 0.5


def test_measures_what_a_search_misses(tmp_path: Path, draw: Draw) -> None:
    vectors = draw(100)
    rows = spool(
        tmp_path / "rows", [(np.arange(100, dtype=np.int64), vectors)], 16, lambda _rows: None
    )

    def half_blind(query: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        return np.argsort(-(vectors @ query))[: k // 2]

    measured = measure(half_blind, rows, rng=np.random.default_rng(0), beat=lambda: None)

    assert measured.recall_at_10 == 0.5
    assert measured.p50_ms > 0
