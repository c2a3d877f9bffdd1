import numpy as np
import pytest
from numpy.typing import NDArray

from models.domain.types import EncoderSpec
from models.encoders.encoder import unit_rows
from models.head import CategoryHead
from models.labels import LabelledPhotos
from models.training.data.split import Examples, Part
from models.training.measure import Candidate, calibrated, measure, measure_gain

CATEGORIES = ("a", "b", "c")


def part(targets: list[int], name: str, each: int = 1) -> Examples:
    """Photos of these categories; `each` consecutive ones are of one listing."""
    photos = LabelledPhotos(
        tuple(f"{name} {number}" for number in range(len(targets))),
        tuple(f"{name} listing {number // each}" for number in range(len(targets))),
        tuple(CATEGORIES[target] for target in targets),
        lambda _digest: b"",
    )
    return Examples(photos, np.array(targets))


PARTS = {
    Part.TRAIN: part([0, 0, 0, 1, 2], "train"),
    Part.VALIDATION: part([0, 1, 2, 0], "validation"),
    Part.TEST: part([0, 0, 1, 1, 2, 2, 2, 0], "test"),
}


def candidate(seen: dict[Part, list[int]], name: str = "resnet50") -> Candidate:
    """One whose vectors say a category, right or wrong, and whose head believes them."""
    spec = EncoderSpec(name, 3, f"{name:0<64}")
    head = CategoryHead(
        CATEGORIES, 4 * np.eye(3, dtype=np.float32), np.zeros(3, np.float32), 1.0, spec.fingerprint
    )
    vectors = {
        key: unit_rows(np.eye(3, dtype=np.float32)[rows] + 0.1) for key, rows in seen.items()
    }
    return Candidate(spec, vectors, head)


RIGHT = {key: one.targets.tolist() for key, one in PARTS.items()}
WRONG = RIGHT | {Part.TEST: [0, 1, 1, 1, 0, 2, 2, 0], Part.TRAIN: [0, 0, 0, 1, 1]}


def test_figures_are_what_a_hand_counts() -> None:
    figures = measure(candidate(WRONG), PARTS, seed=0)
    assert figures.confusion == [[2, 1, 0], [0, 2, 0], [1, 0, 2]]
    assert figures.accuracy.train == pytest.approx(4 / 5)
    assert figures.accuracy.validation == 1
    assert figures.accuracy.test.value == pytest.approx(6 / 8)
    assert figures.majority_accuracy == pytest.approx(3 / 8)
    by_category = figures.categories
    assert [one.category for one in by_category] == ["a", "b", "c"]
    assert [one.precision for one in by_category] == pytest.approx([2 / 3, 2 / 3, 1])
    assert [one.recall for one in by_category] == pytest.approx([2 / 3, 1, 2 / 3])
    assert [one.support for one in by_category] == [3, 2, 3]


def test_a_category_that_is_never_predicted_has_no_precision() -> None:
    figures = measure(candidate(RIGHT | {Part.TEST: [0] * 8}), PARTS, seed=0)
    assert [one.precision for one in figures.categories][1:] == [None, None]


def test_the_interval_holds_the_figure_and_is_wider_for_fewer_listings() -> None:
    def interval(each: int) -> tuple[float, float, float]:
        targets = [0, 1] * 30
        parts = PARTS | {Part.TEST: part(targets, "test", each)}
        half_wrong = [target if row % 20 < 10 else 2 for row, target in enumerate(targets)]
        found = measure(candidate(WRONG | {Part.TEST: half_wrong}), parts, seed=0)
        test = found.accuracy.test
        return test.value, test.low, test.high

    value, low, high = interval(1)
    assert low < value == 0.5 < high
    wide = interval(10)
    assert wide[2] - wide[1] > high - low


def test_searches_are_measured_among_test_photos() -> None:
    perfect, wrong = (measure(candidate(one), PARTS, seed=0).search for one in (RIGHT, WRONG))
    assert perfect
    assert wrong
    assert perfect["map"].value == pytest.approx(1)
    assert wrong["map"].value < 1


def test_where_no_two_test_listings_are_alike_searches_have_no_figures() -> None:
    parts = PARTS | {Part.TEST: part([0, 1, 2], "test")}
    assert measure(candidate(RIGHT | {Part.TEST: [0, 1, 2]}), parts, seed=0).search is None


def test_a_gain_is_the_difference_of_both_figures() -> None:
    before, after = candidate(WRONG), candidate(RIGHT, "tuned")
    gain = measure_gain(before, after, PARTS, seed=0)
    assert gain.accuracy.value == pytest.approx(2 / 8)
    found = [measure(one, PARTS, seed=0).search for one in (before, after)]
    figures = [search["map"].value for search in found if search]
    assert gain.search
    assert gain.search["map"].value == pytest.approx(figures[1] - figures[0])


def test_the_temperature_is_of_validation_photos() -> None:
    def temperature(validation: list[int]) -> float:
        seen = RIGHT | {Part.VALIDATION: validation}
        return calibrated(candidate(seen), PARTS).head.temperature

    targets: NDArray[np.int64] = PARTS[Part.VALIDATION].targets
    assert temperature(targets.tolist()) < 1  # never wrong: could be surer
    assert temperature([0, 1, 0, 1]) > 1


def test_calibration_is_measured_before_and_after() -> None:
    made = calibrated(candidate(RIGHT), PARTS)
    calibration = measure(made, PARTS, seed=0).calibration
    assert calibration.temperature == made.head.temperature
    assert calibration.error_after < calibration.error_before
