from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from models.index.faiss_index import open_mapped, write_index
from models.index.generation import Generation, IndexSearcher
from models.index.plan import plan_of
from models.index.recall import held_out_queries, measure, recall_at_k, top_scores, tune
from models.index.rows import Rows
from models.vectors import to_stored

Draw = Callable[[int], NDArray[np.float32]]
GenerationOf = Callable[..., Generation]


def float32(values: list[float] | list[list[float]]) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def kept(vectors: NDArray[np.float32]) -> Rows:
    return Rows(np.arange(len(vectors), dtype=np.int64), to_stored(vectors))


def test_top_scores_leave_a_query_itself_out_whatever_the_blocks(
    draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, positions = draw(50), np.array([3, 0, 49, 20])
    scores = vectors[positions] @ vectors.T
    scores[np.arange(4), positions] = -1
    expected = -np.sort(-scores, axis=1)[:, :5]

    for block_bytes in (1, 7 * 64, 2**20):
        monkeypatch.setattr("models.index.rows.BLOCK_BYTES", block_bytes)
        got = top_scores(vectors[positions], positions, kept(vectors), 5)
        assert got == pytest.approx(expected, abs=1e-6)


def test_recall_counts_the_share_of_the_best_that_were_found() -> None:
    exact = [float32([1.0, 0.9, 0.8, 0.7]), float32([1.0, 0.5, 0.4, 0.3])]
    found = [float32([1.0, 0.9, 0.8, 0.7]), float32([1.0, 0.2])]

    assert recall_at_k(exact, found) == 5 / 8


def test_a_row_tied_with_the_last_of_the_best_counts() -> None:
    exact = [float32([1.0, 0.5])]
    assert recall_at_k(exact, [float32([0.4999999, 0.5])]) == 1.0
    assert recall_at_k(exact, [float32([0.4999, 0.5])]) == 0.5


def test_without_others_there_is_nothing_to_ask(draw: Draw) -> None:
    for few in (0, 1):
        assert held_out_queries(kept(draw(few)), np.arange(few)) == []
    assert recall_at_k([], []) == 1.0


def test_an_exact_index_misses_nothing(generation_of: GenerationOf, draw: Draw) -> None:
    searcher = generation_of(range(500), draw(500)).searcher
    queries = held_out_queries(searcher.rows, np.arange(0, 500, 5))

    measured = measure(searcher, queries)

    assert (measured.recall_at_10, measured.queries) == (1.0, 100)
    assert 0 < measured.p50_ms <= measured.p95_ms


def test_an_index_that_sees_half_of_the_rows_finds_half(
    generation_of: GenerationOf, draw: Draw
) -> None:
    vectors = draw(500)
    half = generation_of(range(0, 500, 2), vectors[::2]).searcher
    queries = held_out_queries(kept(vectors), np.arange(200))

    assert measure(half, queries).recall_at_10 == pytest.approx(0.5, abs=0.1)


def test_tuning_finds_the_least_that_meets_the_target(
    tmp_path_factory: pytest.TempPathFactory, draw: Draw
) -> None:
    rows, plan = kept(draw(4_000)), plan_of("IVF64,SQ8", 16)
    path = tmp_path_factory.mktemp("index") / "index.faiss"
    write_index(
        path, plan, 16, lambda count: [rows.take(np.arange(min(count, 4_000)))], rows.blocks()
    )
    index, queries = open_mapped(path), held_out_queries(rows, np.arange(0, 4_000, 20))

    tuned = tune(rows, index, plan, queries, 0.9)

    def recall(effort: int) -> float:
        searcher = IndexSearcher(rows, index, False, effort, tuned.candidates, 64)
        return measure(searcher, queries).recall_at_10

    assert recall(tuned.effort) >= 0.9 > recall(tuned.effort // 4)
    assert tune(rows, index, plan, queries, 0.9) == tuned
    assert tune(rows, index, plan, queries, 1.1).recall_at_10 == 1.0
