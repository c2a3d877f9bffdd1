"""Several vectors as one question."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.domain.errors import InvalidInput
from models.ranking.relevance_feedback import NEGATIVE_SHARE, fuse

Vectors = NDArray[np.float32]


def units(*rows: list[float]) -> Vectors:
    vectors: Vectors = np.array(rows, np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def test_one_thing_is_asked_for_by_each_of_its_photos() -> None:
    sides = units([1, 0, 0], [0, 1, 0])
    assert np.array_equal(fuse([sides], []), sides)


def test_several_things_count_alike_however_many_photos_they_have() -> None:
    many, one = units([1, 0, 0], [1, 0, 0], [1, 0, 0]), units([0, 1, 0])
    assert fuse([many, one], []) == pytest.approx(units([1, 1, 0]))


def test_sides_that_differ_weigh_no_less_than_sides_that_are_alike() -> None:
    differing, one = units([1, 1, 0], [1, -1, 0]), units([0, 0, 1])
    assert fuse([differing, one], []) == pytest.approx(units([1, 0, 1]))


def test_negatives_push_away_by_their_share() -> None:
    query = fuse([units([1, 0])], [units([0, 1])])
    assert query == pytest.approx(units([1, -NEGATIVE_SHARE]))
    assert fuse([units([1, 0])], [units([0, 1]), units([0, 1])]) == pytest.approx(query)


def test_what_cancels_out_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="cancel each other out"):
        fuse([units([1, 0]), units([-1, 0])], [])


@settings(deadline=None, derandomize=True, database=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 4))
def test_gives_unit_vectors_whatever_order_they_come_in(
    seed: int, positives: int, negatives: int
) -> None:
    rng = np.random.default_rng(seed)

    def things(count: int) -> list[Vectors]:
        return [units(*rng.normal(size=(rng.integers(1, 4), 8)).tolist()) for _ in range(count)]

    wanted, unwanted = things(positives), things(negatives)
    query = fuse(wanted, unwanted)
    assert query.dtype == np.float32
    assert np.linalg.norm(query, axis=1) == pytest.approx(1)
    if positives + negatives > 1:
        assert query == pytest.approx(fuse(wanted[::-1], unwanted[::-1]), abs=1e-6)
