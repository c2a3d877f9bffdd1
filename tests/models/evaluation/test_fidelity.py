"""Fidelity is what it says, with and without labels."""

import numpy as np
import pytest

from models.encoders.encoder import unit_rows
from models.evaluation.fidelity import fidelity


def unit(*rows: tuple[float, ...]) -> np.ndarray:
    return unit_rows(np.array(rows, np.float32))


def test_cosines_are_between_the_two_vectors_of_one_photo() -> None:
    close = fidelity(unit((1, 0), (0, 1), (1, 0)), unit((1, 0), (1, 1), (0, 1)))
    assert close.photos == 3
    assert close.cosine_mean == pytest.approx((1 + 0.5**0.5 + 0) / 3)
    assert close.cosine_min == pytest.approx(0)
    assert close.reference is close.exported is None


def test_nothing_found_by_both_is_agreement_and_by_one_is_not() -> None:
    nothing, something = (0.0, 0.0), (1.0, 0.0)
    close = fidelity(unit(nothing, nothing, something), unit(nothing, something, nothing))
    assert close.cosine_mean == pytest.approx(1 / 3)


def test_with_labels_both_are_searched() -> None:
    # Four listings of two categories: the reference separates them, the other swaps the last two.
    reference = unit((1, 0), (1, 0.1), (0, 1), (0.1, 1))
    exported = unit((1, 0), (0, 1), (1, 0.1), (0.1, 1))
    listings, categories = np.arange(4), np.array([0, 0, 1, 1])
    close = fidelity(reference, exported, listings, categories)
    assert close.reference
    assert close.exported
    assert close.reference.precision_at_1 == 1
    assert close.reference.mean_average_precision == 1
    assert close.exported.precision_at_1 == 0
    assert close.exported.mean_average_precision < 1
    assert close.change
    assert close.change.precision_at_1.value == -1
    assert close.change.precision_at_1.high < 0
    lost = close.exported.mean_average_precision - 1
    assert close.change.mean_average_precision.value == pytest.approx(lost)


def test_categories_of_one_listing_each_can_not_be_searched() -> None:
    vectors = unit((1, 0), (0, 1))
    close = fidelity(vectors, vectors, np.arange(2), np.arange(2))
    assert close.reference is None
    assert close.exported is None
    assert close.change is None
