from collections.abc import Callable
from itertools import islice

import faiss
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from numpy.typing import NDArray

from models.domain.errors import InvalidInput
from models.domain.types import Match
from models.index.faiss_index import set_threads
from models.index.generation import Generation
from models.index.vector_index import VectorIndex

Draw = Callable[[int], NDArray[np.float32]]
GenerationOf = Callable[..., Generation]


def ids(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


def found(matches: list[Match]) -> list[int]:
    return [match.photo_id for match in matches]


def assert_same_matches(
    got: list[Match], live: dict[int, NDArray[np.float32]], query: NDArray[np.float32], k: int
) -> None:
    """`got` is what brute force over the live rows finds; which of equal rows is free."""
    truth = {photo_id: float(vector @ query) for photo_id, vector in live.items()}
    assert len(set(found(got))) == len(got) == min(k, len(live))
    assert set(found(got)) <= truth.keys()
    best = sorted(truth.values(), reverse=True)[:k]
    assert [match.similarity for match in got] == pytest.approx(best, abs=1e-6)
    assert [truth[photo_id] for photo_id in found(got)] == pytest.approx(best, abs=1e-6)


@pytest.fixture
def index() -> VectorIndex:
    return VectorIndex(16)


def test_an_empty_index_finds_nothing(index: VectorIndex, draw: Draw) -> None:
    assert index.search(draw(1)[0], 5) == []
    assert (index.rows, index.last_change, index.manifest, index.exact) == (0, 0, None, True)


def test_merges_generation_and_fresh_side(
    index: VectorIndex, generation_of: GenerationOf, draw: Draw
) -> None:
    vectors = draw(40)
    index.swap(generation_of(range(25), vectors[:25], last_change=25))
    index.upsert(np.arange(25, 40), vectors[25:])

    for query in vectors:
        assert_same_matches(index.search(query, 10), dict(enumerate(vectors)), query, 10)
    assert (index.rows, index.fresh_count, index.last_change) == (40, 15, 25)


def test_more_than_there_is_gives_all_there_is(
    index: VectorIndex, generation_of: GenerationOf, draw: Draw
) -> None:
    vectors = draw(8)
    index.swap(generation_of(range(5), vectors[:5]))
    index.upsert(ids(5, 6, 7), vectors[5:])
    index.remove(ids(1, 6))

    assert sorted(found(index.search(vectors[0], 1_000_000_000))) == [0, 2, 3, 4, 5, 7]


def test_a_removed_photo_is_not_found_and_a_returned_one_is(
    index: VectorIndex, generation_of: GenerationOf, draw: Draw
) -> None:
    vectors = draw(6)
    index.swap(generation_of(range(3), vectors[:3]))
    index.upsert(ids(3, 4, 5), vectors[3:])

    index.remove(ids(1, 4, 99))
    index.remove(ids(1, 4))
    assert sorted(found(index.search(vectors[1], 6))) == [0, 2, 3, 5]
    assert (index.rows, index.fresh_count, index.tombstone_count) == (4, 2, 1)

    index.upsert(ids(1, 4), vectors[[1, 4]])
    index.upsert(ids(1, 4), vectors[[1, 4]])
    assert found(index.search(vectors[1], 6))[0] == 1
    assert found(index.search(vectors[4], 6))[0] == 4
    assert (index.rows, index.fresh_count, index.tombstone_count) == (6, 3, 0)


def test_a_generation_whose_photos_are_all_gone_finds_nothing(
    index: VectorIndex, generation_of: GenerationOf, draw: Draw
) -> None:
    index.swap(generation_of(range(10), draw(10)))
    index.remove(np.arange(10))

    assert index.search(draw(1)[0], 3) == []


def test_a_swap_starts_from_the_generation_alone(
    index: VectorIndex, generation_of: GenerationOf, draw: Draw
) -> None:
    index.swap(generation_of(range(5), draw(5), last_change=5))
    index.upsert(ids(7), draw(1))
    index.remove(ids(2))

    index.swap(generation_of(range(3), draw(3), last_change=9))
    assert sorted(found(index.search(draw(1)[0], 10))) == [0, 1, 2]
    assert (index.fresh_count, index.tombstone_count, index.last_change) == (0, 0, 9)
    assert index.manifest is not None

    index.remove(ids(0))
    index.swap(None)
    assert index.rows == 0
    assert index.search(draw(1)[0], 10) == []


def test_searching_one_index_leaves_another_on_the_same_generation_alone(
    index: VectorIndex, generation_of: GenerationOf, draw: Draw
) -> None:
    generation = generation_of(range(5), draw(5))
    other = VectorIndex(16)
    other.swap(generation)
    index.swap(generation)

    index.remove(ids(0, 1, 2))
    index.search(draw(1)[0], 2)

    assert sorted(found(other.search(draw(1)[0], 5))) == [0, 1, 2, 3, 4]


def test_equal_photos_come_by_id_from_both_sides(
    index: VectorIndex, generation_of: GenerationOf
) -> None:
    axes = np.eye(16, dtype=np.float32)
    index.swap(generation_of(range(0, 600, 2), np.repeat(axes[:1], 300, axis=0)))
    index.upsert(np.arange(1, 40, 2), np.repeat(axes[:1], 20, axis=0))
    index.upsert(ids(10_000), axes[1:2])

    assert found(index.search(axes[0], 10)) == list(range(10))
    assert found(index.search(axes[1], 4)) == [10_000, 0, 1, 2]


def test_equal_photos_at_the_end_of_the_list_come_by_id(
    index: VectorIndex, generation_of: GenerationOf
) -> None:
    axes = np.eye(16, dtype=np.float32)
    # The better ones come after many equal ones, which FAISS drops in an order of its own.
    index.swap(generation_of(range(103), np.repeat(axes[:2], [100, 3], axis=0)))

    assert found(index.search(axes[1], 5)) == [100, 101, 102, 0, 1]


@pytest.mark.parametrize("gone", [[], [0, 17]])
def test_copies_of_a_photo_on_one_side_are_equal(
    index: VectorIndex, generation_of: GenerationOf, draw: Draw, gone: list[int]
) -> None:
    vector, query = draw(2)
    copies = np.repeat(vector[np.newaxis], 37, axis=0)
    left = [photo_id for photo_id in range(37) if photo_id not in gone]

    index.upsert(np.arange(36, -1, -1), copies)
    index.remove(ids(*gone))
    assert found(index.search(query, 37)) == left

    index.swap(generation_of(range(37), copies))
    index.remove(ids(*gone))
    assert found(index.search(query, 37)) == left


def test_the_fresh_side_grows_and_shrinks(index: VectorIndex, draw: Draw) -> None:
    vectors = draw(200)
    for photo_id in range(200):
        index.upsert(ids(photo_id), vectors[[photo_id]])
    for photo_id in range(0, 200, 3):
        index.remove(ids(photo_id))

    live = {photo_id: vectors[photo_id] for photo_id in range(200) if photo_id % 3}
    assert_same_matches(index.search(vectors[5], 200), live, vectors[5], 200)


@pytest.mark.parametrize("expect", [1, 3, 256])
def test_matches_go_on_to_the_last_photo(
    index: VectorIndex, generation_of: GenerationOf, draw: Draw, expect: int
) -> None:
    vectors = draw(400)
    index.swap(generation_of(range(300), vectors[:300]))
    index.upsert(np.arange(300, 400), vectors[300:])
    index.remove(np.arange(100, 200))
    live = {i: vectors[i] for i in range(400) if not 100 <= i < 200}

    everything = list(index.matches(vectors[0], expect=expect))

    assert_same_matches(everything, live, vectors[0], 300)
    assert list(islice(index.matches(vectors[0]), 7)) == everything[:7]


def test_a_photo_is_never_more_alike_than_itself(
    index: VectorIndex, generation_of: GenerationOf
) -> None:
    rounded = np.full((2, 16), 0.2502, np.float16).astype(np.float32)
    index.swap(generation_of([1], rounded[:1]))
    index.upsert(ids(2), rounded[1:])

    assert index.search(rounded[0], 2) == [Match(1, 1.0), Match(2, 1.0)]
    assert [match.similarity for match in index.search(-rounded[0], 2)] == [-1.0, -1.0]


def test_a_lossy_generation_is_not_called_exact(
    index: VectorIndex, generation_of: GenerationOf, draw: Draw
) -> None:
    index.swap(generation_of(range(40), draw(40), factory="SQ8", recall_target=0.5))
    assert not index.exact

    index.swap(generation_of(range(40), draw(40)))
    assert index.exact


@pytest.mark.parametrize(
    "query",
    [
        np.zeros(16, np.float32),
        np.full(16, np.nan, np.float32),
        np.full(16, np.inf, np.float32),
        np.full(16, 1e300),
        np.eye(17, dtype=np.float32)[0],
        np.eye(16, dtype=np.float32)[:1],
    ],
    ids=["zero", "nan", "infinite", "huge", "longer", "a matrix"],
)
def test_an_unusable_query_is_refused_at_once(
    index: VectorIndex, query: NDArray[np.float32]
) -> None:
    with pytest.raises(InvalidInput):
        index.matches(query)
    with pytest.raises(InvalidInput):
        index.search(query, 3)


@pytest.mark.parametrize("k", [0, -1])
def test_a_search_for_nothing_is_refused(index: VectorIndex, draw: Draw, k: int) -> None:
    with pytest.raises(InvalidInput):
        index.search(draw(1)[0], k)


def test_unusable_rows_are_refused_and_change_nothing(
    index: VectorIndex, generation_of: GenerationOf, draw: Draw
) -> None:
    index.swap(generation_of(range(2), draw(2)))
    index.remove(ids(0))
    vectors = draw(3)
    vectors[2, 0] = np.nan

    with pytest.raises(InvalidInput, match="photo 9"):
        index.upsert(ids(0, 1, 9), vectors)
    with pytest.raises(InvalidInput, match="16 numbers"):
        index.upsert(ids(0, 1), draw(3))

    assert (index.rows, index.tombstone_count) == (1, 1)


def test_a_generation_of_another_dimension_is_refused(
    generation_of: GenerationOf, draw: Draw
) -> None:
    with pytest.raises(InvalidInput, match="8 numbers"):
        VectorIndex(8).swap(generation_of(range(2), draw(2)))


def test_sets_the_threads_of_faiss() -> None:
    before = faiss.omp_get_max_threads()
    try:
        set_threads(before + 1)
        assert faiss.omp_get_max_threads() == before + 1
    finally:
        set_threads(before)


def test_any_history_finds_what_brute_force_finds(generation_of: GenerationOf, draw: Draw) -> None:
    # Each vector belongs to two photos, so that ties are everywhere.
    vectors = np.concatenate([draw(12), draw(12)])
    photos = st.lists(st.integers(0, len(vectors) - 1), max_size=8).map(lambda some: ids(*some))

    class History(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.index = VectorIndex(16)
            self.live: set[int] = set()
            self.changes: list[tuple[bool, NDArray[np.int64]]] = []
            self.built = generation_of([], draw(0))

        @rule(some=photos)
        def upsert(self, some: NDArray[np.int64]) -> None:
            self.changes.append((True, some))
            self.live |= set(some.tolist())
            self.index.upsert(some, vectors[some])

        @rule(some=photos)
        def remove(self, some: NDArray[np.int64]) -> None:
            self.changes.append((False, some))
            self.live -= set(some.tolist())
            self.index.remove(some)

        @rule()
        def build(self) -> None:
            live = sorted(self.live)
            self.built = generation_of(live, vectors[live], last_change=len(self.changes))

        @rule()
        def swap(self) -> None:
            self.index.swap(self.built)
            for upserted, some in self.changes[self.index.last_change :]:
                if upserted:
                    self.index.upsert(some, vectors[some])
                else:
                    self.index.remove(some)

        @invariant()
        def finds_what_brute_force_finds(self) -> None:
            assert self.index.rows == len(self.live)
            live = {photo_id: vectors[photo_id] for photo_id in self.live}
            for query, k in ((vectors[0], 1), (vectors[3], 5), (vectors[7], 100)):
                assert_same_matches(self.index.search(query, k), live, query, k)

    case = History.TestCase
    case.settings = settings(
        max_examples=40, stateful_step_count=15, deadline=None, derandomize=True
    )
    case().runTest()


def test_matches_of_an_index_that_reads_few_lists_end_in_order_with_the_last_photo(
    index: VectorIndex, generation_of: GenerationOf, draw: Draw
) -> None:
    vectors = draw(440)
    index.swap(generation_of(range(400), vectors[:400], factory="IVF8,SQ8", recall_target=0.9))
    index.upsert(np.arange(400, 440), vectors[400:])

    for expect in (1, 30, 1000):
        given = list(index.matches(vectors[7], expect=expect))
        places = [(-match.similarity, match.photo_id) for match in given]
        assert places == sorted(places)
        assert len(set(found(given))) == len(given) > 0.8 * 440
        for match in given:
            assert match.similarity == pytest.approx(vectors[match.photo_id] @ vectors[7], abs=1e-6)
    assert given == list(index.matches(vectors[7], expect=1000))


@pytest.mark.parametrize("factory", [None, "IVF64,SQ8"])
def test_only_some_photos_are_looked_for(
    index: VectorIndex, generation_of: GenerationOf, draw: Draw, factory: str | None
) -> None:
    vectors = draw(500)
    index.swap(generation_of(range(400), vectors[:400], factory=factory, recall_target=0.9))
    index.upsert(np.arange(400, 500), vectors[400:])
    index.remove(ids(3, 6, 402))
    wanted = np.array([*range(0, 500, 3), 3, 3, 999], np.int64)
    live = {i: vectors[i] for i in range(0, 500, 3) if i not in {3, 6, 402}}

    for query in vectors[:5]:
        exactly = index.among(query, wanted)
        assert_same_matches(exactly, live, query, len(live))
        assert list(index.only(query, wanted, expect=1000)) == exactly
        assert set(found(list(index.only(query, wanted, expect=3)))) <= live.keys()
    assert list(index.only(vectors[0], ids())) == index.among(vectors[0], ids()) == []


def test_a_photo_is_as_similar_on_either_side(
    index: VectorIndex, generation_of: GenerationOf, draw: Draw
) -> None:
    vectors = draw(50)
    unkept = np.random.default_rng(1).normal(size=(20, 16)).astype(np.float32)
    unkept /= np.linalg.norm(unkept, axis=1, keepdims=True)
    everything = np.concatenate([vectors, unkept])
    index.upsert(np.arange(70), everything)
    fresh = list(index.matches(vectors[0]))

    index.swap(generation_of(range(70), everything))
    assert list(index.matches(vectors[0])) == fresh
    index.swap(generation_of(range(70), everything, factory="IVF2,SQ8", recall_target=0.9))
    assert index.among(vectors[0], np.arange(70)) == fresh
