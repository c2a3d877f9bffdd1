"""Answers to queries are what comparing everything one by one finds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.encoders.encoder import unit_rows
from models.matching import evidence
from models.matching.evidence import DEPTH, NOBODY, Asked, find
from models.matching.labels import NEIGHBOURS, VOTERS


def unit(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    return unit_rows(rng.normal(size=(count, 6)).astype(np.float32))


@given(st.integers(0, 2**32 - 1), st.integers(1, 50), st.integers(1, 20), st.integers(0, 7))
def test_answers_are_those_of_brute_force(
    seed: int, photos: int, listings: int, queries: int
) -> None:
    rng = np.random.default_rng(seed)
    catalogue, numbers = unit(rng, photos), rng.integers(0, listings, photos)
    asked = Asked(
        [unit(rng, int(rng.integers(1, 4))) for _ in range(queries)],
        rng.integers(-1, listings, queries),
    )
    found = find(asked, catalogue, numbers)
    assert found.listings.shape == (queries, DEPTH)
    for row in range(queries):
        best = [
            (max(float(own @ photo) for own in asked.vectors[row]), int(number), position)
            for position, (photo, number) in enumerate(zip(catalogue, numbers, strict=True))
            if number != asked.without[row]
        ]
        best.sort(key=lambda one: -one[0])
        expected: list[tuple[float, int, int]] = []
        for one in best:
            if one[1] not in {number for _, number, _ in expected}:
                expected.append(one)
        expected = expected[:DEPTH]
        count = len(expected)
        assert found.listings[row, :count].tolist() == [number for _, number, _ in expected]
        assert found.photos[row, :count].tolist() == [position for _, _, position in expected]
        assert (found.photos[row, count:] == NOBODY).all()
        near = [similarity for similarity, _, _ in expected]
        assert np.allclose(found.similarities[row, :count], near, atol=1e-5)
        voters = [position for _, _, position in best[:VOTERS]]
        assert found.voters[row, : len(voters)].tolist() == voters
        assert (found.voters[row, len(voters) :] == NOBODY).all()
        if count >= NEIGHBOURS:
            assert np.isclose(found.reference[row], expected[NEIGHBOURS - 1][0], atol=1e-5)
        else:
            assert np.isnan(found.reference[row])


def test_many_queries_are_searched_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    catalogue, numbers = unit(rng, 40), np.arange(40) // 2
    asked = Asked([unit(rng, 2) for _ in range(11)], np.full(11, NOBODY))
    whole = find(asked, catalogue, numbers)
    monkeypatch.setattr(evidence, "_CELLS_AT_ONCE", 3 * 40)
    counted: list[int] = []
    parts = find(asked, catalogue, numbers, counted.append)
    assert counted == [3, 3, 3, 2]
    assert (parts.photos == whole.photos).all()
