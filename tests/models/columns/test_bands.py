"""Bands: edges are round, near the quantiles, and part all numbers."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.columns.bands import counts_between, round_edges

NUMBERS = st.lists(st.floats(-1e15, 1e15) | st.integers(-100, 100).map(float), max_size=60)


@settings(deadline=None, derandomize=True, database=None)
@given(NUMBERS, st.integers(1, 10))
def test_every_band_of_round_edges_has_numbers(stated: list[float], bands: int) -> None:
    numbers = np.sort(np.array(stated, np.float64))
    edges = round_edges(numbers, bands)
    assert edges == sorted(set(edges))
    assert len(edges) <= max(0, bands - 1)
    counts = counts_between(numbers, edges)
    assert sum(counts) == len(stated)
    assert all(counts) or not stated


@settings(deadline=None, derandomize=True, database=None)
@given(NUMBERS, st.lists(st.floats(-1e3, 1e3), max_size=5, unique=True).map(sorted))
def test_counts_are_of_what_is_between(stated: list[float], edges: list[float]) -> None:
    bounds = [-np.inf, *edges, np.inf]
    expected = [sum(low <= number < high for number in stated) for low, high in pairwise(bounds)]
    assert counts_between(np.sort(np.array(stated, np.float64)), edges) == expected


@pytest.mark.parametrize(
    ("numbers", "edges"),
    [
        pytest.param(np.arange(1, 1_001), [150, 350, 500, 650, 850], id="even"),
        pytest.param(np.repeat(np.arange(4, 28), 3), [8, 12, 16, 20, 24], id="years"),
        pytest.param(np.array([5.0] * 9), [], id="all equal"),
        pytest.param(np.array([0.0] * 50 + [1.0] * 50), [1.0], id="two values"),
    ],
)  # fmt: skip
def test_edges_are_round(numbers: NDArray[np.float64], edges: list[float]) -> None:
    assert round_edges(numbers, 6) == edges
