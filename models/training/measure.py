"""Metrics of a category head on training, validation and test photos."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.domain.errors import InvalidInput
from models.domain.types import EncoderSpec
from models.evaluation.compare import compare
from models.evaluation.intervals import Means, cluster_means
from models.head import CategoryHead
from models.training.calibration import calibration_error, fit_temperature
from models.training.data.split import Examples, Part

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Parts = Mapping[Part, Examples]


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


def measure(candidate: Candidate, parts: Parts, seed: int) -> dict[str, Any]:
    """The figures of a calibrated candidate, as plain values.

    `confusion` counts test photos by their category (rows) and by the one predicted (columns).
    """
    head, test = candidate.head, parts[Part.TEST]
    probabilities = head.probabilities(candidate.vectors[Part.TEST])
    uncalibrated = replace(head, temperature=1.0).probabilities(candidate.vectors[Part.TEST])
    count = len(head.categories)
    cells = test.targets * count + probabilities.argmax(axis=1)
    confusion = np.bincount(cells, minlength=count * count).reshape(count, count)
    majority = np.bincount(parts[Part.TRAIN].targets).argmax()
    return {
        "encoder": candidate.encoder.label,
        "accuracy": {
            "train": float(candidate.is_right(parts, Part.TRAIN).mean()),
            "validation": float(candidate.is_right(parts, Part.VALIDATION).mean()),
            "test": asdict(_test_accuracy([candidate], parts, seed).of(0)),
        },
        "majority_accuracy": float((test.targets == majority).mean()),
        "calibration": {
            "temperature": head.temperature,
            "error_before": calibration_error(uncalibrated, test.targets),
            "error_after": calibration_error(probabilities, test.targets),
        },
        "search": _search([candidate], parts, seed)[0],
        "categories": _by_category(head.categories, confusion),
        "confusion": confusion.tolist(),
    }


def measure_gain(before: Candidate, after: Candidate, parts: Parts, seed: int) -> dict[str, Any]:
    """How much better one candidate is than another, as plain values.

    Both are measured on the same draws of test listings: a gain is sure when its interval lies
    above zero, even where the intervals of the two overlap.
    """
    return {
        "accuracy": asdict(_test_accuracy([before, after], parts, seed).difference(1, 0)),
        "search": _search([before, after], parts, seed)[1],
    }


def _test_accuracy(candidates: Sequence[Candidate], parts: Parts, seed: int) -> Means:
    listings = np.array(parts[Part.TEST].photos.listings)
    return cluster_means(
        np.stack([candidate.is_right(parts, Part.TEST) for candidate in candidates], axis=1),
        np.unique(listings, return_inverse=True)[1],
        np.random.default_rng(seed),
    )


def _search(
    candidates: Sequence[Candidate], parts: Parts, seed: int
) -> list[dict[str, dict[str, float]] | None]:
    """What the first finds among the test photos, by metric, and how much more the others find.

    None of each where no two test listings are of one category.
    """
    photos = parts[Part.TEST].photos
    # A photo that several listings show would find itself.
    rows = np.sort(np.unique(np.array(photos.hashes), return_index=True)[1])
    tested = {one.encoder: one.vectors[Part.TEST][rows] for one in candidates}
    try:
        found = compare(tested, photos.take(rows.tolist()), seed=seed).metrics
    except InvalidInput:
        return [None] * len(candidates)
    return [
        {name: asdict(figures.micro[0]) for name, figures in found.items()},
        *(
            {name: asdict(figures.to_first[number]) for name, figures in found.items()}
            for number in range(len(candidates) - 1)
        ),
    ]


def _by_category(categories: tuple[str, ...], confusion: Integers) -> list[dict[str, Any]]:
    """Precision is None for a category that was never predicted."""
    found = []
    for number, path in enumerate(categories):
        right = int(confusion[number, number])
        predicted, there = int(confusion[:, number].sum()), int(confusion[number].sum())
        found.append(
            {
                "category": path,
                "precision": right / predicted if predicted else None,
                "recall": right / there if there else None,
                "support": there,
            }
        )
    return found
