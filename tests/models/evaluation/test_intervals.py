import numpy as np
import pytest
from numpy.typing import NDArray

from models.evaluation import intervals
from models.evaluation.intervals import cluster_means, mean_of

TRUTH = 0.6
DATASETS = 200


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 400)


def covered(*, by_listing: bool) -> int:
    """In how many of 200 drawn catalogues the interval holds the mean they were drawn from."""
    rng = np.random.default_rng(7)
    count = 0
    for _ in range(DATASETS):
        # All photos of a listing succeed together, or fail.
        listings = np.repeat(np.arange(60), rng.integers(1, 6, size=60))
        values = (rng.random(60) < TRUTH).astype(float)[listings, None]
        clusters = listings if by_listing else np.arange(len(listings))
        found = cluster_means(values, clusters, rng).of(0)
        count += found.low <= TRUTH <= found.high
    return count


def test_intervals_hold_the_truth_19_times_in_20() -> None:
    assert 0.91 * DATASETS <= covered(by_listing=True) <= 0.98 * DATASETS


def test_drawing_photos_instead_of_listings_would_promise_too_much() -> None:
    assert covered(by_listing=False) < 0.85 * DATASETS


def two_encoders() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The second succeeds wherever the first does, and nearly nowhere else."""
    rng = np.random.default_rng(3)
    first = rng.random(300) < TRUTH
    second = first | (rng.random(300) < 0.05)
    return np.stack([first, second], axis=1).astype(float), np.arange(300) // 2


def test_a_difference_is_of_the_same_draws() -> None:
    values, listings = two_encoders()
    means = cluster_means(values, listings, np.random.default_rng(0))
    difference = means.difference(1, 0)
    assert difference.value == pytest.approx(means.of(1).value - means.of(0).value)
    # Apart, the intervals overlap; together, they can be told apart.
    assert means.of(1).low < means.of(0).high
    assert 0 < difference.low < difference.value < difference.high
    assert means.difference(0, 0).low == means.difference(0, 0).high == 0


def test_an_interval_is_around_the_mean_and_repeatable() -> None:
    values, listings = two_encoders()
    found = cluster_means(values, listings, np.random.default_rng(0)).of(0)
    assert found.value == values[:, 0].mean()
    assert found.low < found.value < found.high
    assert found == cluster_means(values, listings, np.random.default_rng(0)).of(0)


def test_what_is_the_same_everywhere_is_sure() -> None:
    listings = np.array([0, 0, 0, 0, 1, 2])
    found = cluster_means(np.ones((6, 1)), listings, np.random.default_rng(0)).of(0)
    assert (found.low, found.value, found.high) == (1, 1, 1)


def test_draws_in_parts_are_the_draws_of_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    values, listings = two_encoders()
    whole = cluster_means(values, listings, np.random.default_rng(0)).resampled
    monkeypatch.setattr(intervals, "CELLS_AT_ONCE", 7 * 150)
    parts = cluster_means(values, listings, np.random.default_rng(0)).resampled
    assert np.array_equal(whole, parts)


def test_the_mean_of_means_counts_each_the_same() -> None:
    rng = np.random.default_rng(0)
    large = cluster_means(np.ones((50, 1)), np.arange(50), rng)
    small = cluster_means(np.zeros((2, 1)), np.arange(2), rng)
    assert mean_of([large, small]).of(0).value == 0.5
