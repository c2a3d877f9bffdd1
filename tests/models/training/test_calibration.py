import numpy as np
import pytest
from numpy.typing import NDArray

from models.training.calibration import calibration_error, fit_temperature, softmax


def drawn(count: int = 20_000) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits, and categories that occur as often as those say."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (count, 4)).astype(np.float32)
    probabilities = softmax(logits)
    targets = (probabilities.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    return logits, np.minimum(targets, 3)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_logits_were_heated_with_is_found(temperature: float) -> None:
    logits, targets = drawn()
    assert fit_temperature(logits * temperature, targets) == pytest.approx(temperature, rel=0.03)


def test_calibrated_probabilities_are_off_by_less() -> None:
    logits, targets = drawn()
    before = calibration_error(softmax(logits * 3), targets)
    after = calibration_error(softmax(logits * 3, fit_temperature(logits * 3, targets)), targets)
    assert before > 0.1
    assert after < 0.02


def test_logits_without_a_mistake_and_without_a_hit_have_a_temperature_too() -> None:
    logits = np.array([[9, 0], [0, 9]], np.float32)
    surest = softmax(logits, fit_temperature(logits, np.array([0, 1])))
    assert surest.diagonal() == pytest.approx(1)
    assert fit_temperature(logits, np.array([1, 0])) == pytest.approx(100)


def test_the_error_is_the_mean_gap_of_its_bins() -> None:
    # Two photos at 0.9, one of them right, and one at 0.6 that is right.
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4]], np.float32)
    error = calibration_error(probabilities, np.array([0, 0, 0]))
    assert error == pytest.approx((abs(1.8 - 1) + abs(0.6 - 1)) / 3)


def test_what_is_sure_and_right_has_no_error() -> None:
    assert calibration_error(np.eye(3, dtype=np.float32), np.arange(3)) == 0


def test_probabilities_add_up_even_of_great_logits() -> None:
    shares = softmax(np.array([[1e4, 0, -1e4], [1, 1, 1]], np.float32))
    assert shares.sum(axis=1) == pytest.approx(1)
    assert shares[0, 0] == 1
