"""Metrics of a category head on training, validation and test photos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.domain.errors import InvalidInput
from models.domain.types import EncoderSpec
from models.evaluation.compare import compare
from models.evaluation.intervals import Estimate, Means, cluster_means
from models.head import CategoryHead
from models.training.calibration import calibration_error, fit_temperature
from models.training.data.split import Examples, Part

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Parts = Mapping[Part, Examples]
SearchMetrics = Mapping[str, Estimate]
"""Retrieval metrics by name; see `models.evaluation.compare.METRICS`."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The share of photos whose predicted category is their own, in each part."""

    train: float
    validation: float
    test: Estimate


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fitted temperature, and the expected calibration error before and after it."""

    temperature: float
    error_before: float
    error_after: float


@dataclass(frozen=True, slots=True)
class CategoryMetrics:
    """Figures of one category; `support` counts its test photos.

    `precision` is None for a category that was never predicted, `recall` for one without photos.
    """

    category: str
    precision: float | None
    recall: float | None
    support: int


@dataclass(frozen=True, slots=True)
class HeadMetrics:
    """The figures of a calibrated candidate.

    `majority_accuracy` is the test accuracy of always predicting the most frequent category.
    `search` is None where no two test listings are of one category. `confusion` counts test photos
    by their category (rows) and by the one predicted (columns).
    """

    encoder: str
    accuracy: Accuracy
    majority_accuracy: float
    calibration: Calibration
    search: SearchMetrics | None
    categories: list[CategoryMetrics]
    confusion: list[list[int]]


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much one candidate exceeds another; `search` as in `HeadMetrics`."""

    accuracy: Estimate
    search: SearchMetrics | None


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """An encoder, its unit vectors of the photos of each part, and a head for them."""

    encoder: EncoderSpec
    vectors: Mapping[Part, Floats]
    head: CategoryHead

    def is_right(self, parts: Parts, part: Part) -> NDArray[np.float64]:
        """1 where the likeliest category of a photo of the part is its own, 0 elsewhere."""
        predicted = self.head.probabilities(self.vectors[part]).argmax(axis=1)
        right: NDArray[np.bool_] = predicted == parts[part].targets
        return right.astype(np.float64)


def calibrated(candidate: Candidate, parts: Parts) -> Candidate:
    """The candidate with the temperature at which its validation photos are likeliest."""
    head = candidate.head
    logits = candidate.vectors[Part.VALIDATION] @ head.weight.T + head.bias
    temperature = fit_temperature(logits, parts[Part.VALIDATION].targets)
    return replace(candidate, head=replace(head, temperature=temperature))


def measure(candidate: Candidate, parts: Parts, seed: int) -> HeadMetrics:
    """The figures of a calibrated candidate."""
    head, test = candidate.head, parts[Part.TEST]
    probabilities = head.probabilities(candidate.vectors[Part.TEST])
    uncalibrated = replace(head, temperature=1.0).probabilities(candidate.vectors[Part.TEST])
    count = len(head.categories)
    cells = test.targets * count + probabilities.argmax(axis=1)
    confusion = np.bincount(cells, minlength=count * count).reshape(count, count)
    majority = np.bincount(parts[Part.TRAIN].targets).argmax()
    return HeadMetrics(
        encoder=candidate.encoder.label,
        accuracy=Accuracy(
            train=float(candidate.is_right(parts, Part.TRAIN).mean()),
            validation=float(candidate.is_right(parts, Part.VALIDATION).mean()),
            test=_test_accuracy([candidate], parts, seed).of(0),
        ),
        majority_accuracy=float((test.targets == majority).mean()),
        calibration=Calibration(
            temperature=head.temperature,
            error_before=calibration_error(uncalibrated, test.targets),
            error_after=calibration_error(probabilities, test.targets),
        ),
        search=_search([candidate], parts, seed)[0],
        categories=_by_category(head.categories, confusion),
        confusion=confusion.tolist(),
    )


def measure_gain(before: Candidate, after: Candidate, parts: Parts, seed: int) -> Gain:
    """How much better one candidate is than another.

    Both are measured on the same bootstrap draws of test listings: a gain is significant when its
    interval lies above zero, even where the intervals of the two overlap.
    """
    return Gain(
        accuracy=_test_accuracy([before, after], parts, seed).difference(1, 0),
        search=_search([before, after], parts, seed)[1],
    )


def _test_accuracy(candidates: Sequence[Candidate], parts: Parts, seed: int) -> Means:
    listings = np.array(parts[Part.TEST].photos.listings)
    return cluster_means(
        np.stack([candidate.is_right(parts, Part.TEST) for candidate in candidates], axis=1),
        np.unique(listings, return_inverse=True)[1],
        np.random.default_rng(seed),
    )


def _search(candidates: Sequence[Candidate], parts: Parts, seed: int) -> list[SearchMetrics | None]:
    """Retrieval metrics of the first candidate on the test photos, and the others' differences.

    None for each where no two test listings are of one category.
    """
    photos = parts[Part.TEST].photos
    # A photo shown by several listings would retrieve its own copy.
    rows = np.sort(np.unique(np.array(photos.hashes), return_index=True)[1])
    tested = {one.encoder: one.vectors[Part.TEST][rows] for one in candidates}
    try:
        found = compare(tested, photos.take(rows.tolist()), seed=seed).metrics
    except InvalidInput:
        return [None] * len(candidates)
    return [
        {name: figures.micro[0] for name, figures in found.items()},
        *(
            {name: figures.to_first[number] for name, figures in found.items()}
            for number in range(len(candidates) - 1)
        ),
    ]


def _by_category(categories: tuple[str, ...], confusion: Integers) -> list[CategoryMetrics]:
    found = []
    for number, path in enumerate(categories):
        right = int(confusion[number, number])
        predicted, support = int(confusion[:, number].sum()), int(confusion[number].sum())
        found.append(
            CategoryMetrics(
                category=path,
                precision=right / predicted if predicted else None,
                recall=right / support if support else None,
                support=support,
            )
        )
    return found
