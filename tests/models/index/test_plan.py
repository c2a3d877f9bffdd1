import psutil
import pytest

from models.index.plan import EXACT, IndexPlan, default_memory_bytes, plan_index, plan_of

GIB = 2**30


def plan(rows: int, *, dimension: int = 2048, target: float = 0.95, memory: int = GIB) -> IndexPlan:
    return plan_index(rows, dimension, recall_target=target, memory_bytes=memory)


@pytest.mark.parametrize("rows", [0, 1, 1_000, 32_000])
def test_what_can_be_looked_at_whole_is(rows: int) -> None:
    assert plan(rows).factory == EXACT
    assert plan(rows).exact


def test_a_million_rows_are_found_by_short_codes_that_fit_the_memory() -> None:
    default = plan(1_000_000)
    assert default.factory == "PCA128,IVF8192,SQ8"
    assert (default.lists, default.training_rows, default.exact) == (8192, 40 * 8192, False)

    small = plan(1_000_000, memory=100_000_000)
    assert small.factory == "PCA128,IVF8192,SQ4"
    for chosen in (default, small):
        assert chosen.hot_bytes * 1_000_000 <= GIB
        assert chosen.disk_bytes > chosen.hot_bytes + 4096


def test_a_high_target_gets_longer_codes() -> None:
    assert plan(1_000_000, target=0.99).factory == "PCA256,IVF8192,SQ8"


def test_short_vectors_are_not_reduced() -> None:
    assert plan(5_000_000, dimension=64).factory == "IVF16384,SQ8"


def test_rows_by_the_million_have_lists_that_can_still_be_trained() -> None:
    assert plan(1_000_000_000, memory=1000 * GIB).lists == 16_384


def test_too_little_memory_is_said_and_the_shortest_codes_taken() -> None:
    chosen = plan(1_000_000, memory=1_000_000)
    assert chosen.factory.startswith("PCA32,")
    assert "more than the 1 MB allowed" in chosen.why


def test_why_names_the_size_of_what_is_there_and_of_what_is_searched() -> None:
    assert "4.1 GB" in plan(1_000_000).why
    assert "136 MB" in plan(1_000_000).why
    assert "misses nothing" in plan(10).why


@pytest.mark.parametrize(
    ("factory", "most"),
    [(EXACT, 0), ("PCA64,IVF128,SQ8", 128), ("PCA64,HNSW32,SQ8", 5_000), ("PCA64,SQ8", 1)],
)
def test_the_most_effort_is_all_lists_or_the_whole_graph(factory: str, most: int) -> None:
    assert plan_of(factory, 2048).most_effort(5_000) == most


def test_by_default_an_index_may_take_a_quarter_of_the_memory() -> None:
    assert default_memory_bytes() == pytest.approx(psutil.virtual_memory().total / 4, rel=0.01)
