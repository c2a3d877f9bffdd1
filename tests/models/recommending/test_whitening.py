"""Vectors in which no direction leads."""

import numpy as np
import pytest

from models.recommending.whitening import MIN_SAMPLE, Whitening, unit_rows
from tests.support.recommending import Rows


def drawn(count: int, dimension: int = 24) -> Rows:
    """Unit vectors that are far from the origin, and differ most in their first numbers."""
    rng = np.random.default_rng(3)
    spread = np.geomspace(1, 0.1, dimension)
    rows = 2 + rng.normal(size=(count, dimension)) * spread
    return unit_rows(rows.astype(np.float32))


def test_no_direction_leads_in_what_is_whitened() -> None:
    vectors = drawn(3000)
    whitening = Whitening.fit(vectors)
    assert whitening is not None
    whitened = whitening.apply(vectors)
    assert np.linalg.norm(whitened, axis=1) == pytest.approx(1, abs=1e-5)

    def share_of_first(rows: Rows) -> float:
        values = np.linalg.eigvalsh(np.cov(rows.T))
        return float(values[-1] / values.sum())

    assert abs(float((whitened @ whitened.T).mean())) < 0.01 < float((vectors @ vectors.T).mean())
    assert share_of_first(whitened) < 0.5 * share_of_first(vectors)


def test_the_same_sample_gives_the_same_map_and_a_small_one_none() -> None:
    vectors = drawn(MIN_SAMPLE)
    one, other = Whitening.fit(vectors), Whitening.fit(vectors.copy())
    assert one is not None
    assert other is not None
    assert (one.matrix == other.matrix).all()
    assert (one.offset == other.offset).all()
    assert Whitening.fit(vectors[1:]) is None


def test_vectors_that_do_not_differ_have_no_map() -> None:
    assert Whitening.fit(np.tile(np.array([0.6, 0.8], np.float32), (MIN_SAMPLE, 1))) is None


def test_rows_of_zeros_stay_as_they_are() -> None:
    assert (unit_rows(np.zeros((2, 3), np.float32)) == 0).all()
