"""Labels of made-up catalogues, whose items, kinds and strangers are known."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.adaptation.learn import learn
from models.domain.types import MatchLabel
from models.encoders.encoder import unit_rows
from models.evaluation.intervals import wilson
from models.labels import LabelledPhotos
from models.matching.calibrate import Catalogue, HeldOut, calibrate
from models.matching.labels import withheld_labels

LISTINGS, KINDS, DIMENSION = 500, 5, 48
UNKNOWN = ""

Floats = NDArray[np.float32]


def drawn(seed: int = 0) -> tuple[Catalogue, HeldOut]:
    """Two photos of each of many items of a few kinds, near their kind's axis; strangers are not.

    A view is a photo and noise.
    """
    rng = np.random.default_rng(seed)
    axes = rng.normal(size=(KINDS, DIMENSION))
    of_item = np.arange(LISTINGS) % KINDS
    items = axes[of_item] + rng.uniform(0.3, 1.4, (LISTINGS, 1)) * rng.normal(
        size=(LISTINGS, DIMENSION)
    )
    rows = np.repeat(np.arange(LISTINGS), 2)
    vectors = items[rows] + 0.5 * rng.normal(size=(len(rows), DIMENSION))
    held_out = np.arange(0, len(rows), 2)
    views = vectors[held_out] + rng.uniform(0.1, 0.5, (LISTINGS, 1)) * rng.normal(
        size=(LISTINGS, DIMENSION)
    )
    strangers = rng.normal(size=(100, DIMENSION))
    photos = LabelledPhotos(
        tuple(f"{row:064}" for row in range(len(rows))),
        tuple(f"listing {row:04}" for row in rows),
        tuple(f"kind {of_item[row]}" for row in rows),
        lambda _: b"",
    )
    return (
        Catalogue(photos, unit(vectors), [None] * len(rows), UNKNOWN),
        HeldOut(held_out, unit(views), unit(strangers)),
    )


def unit(rows: NDArray[np.float64]) -> Floats:
    return unit_rows(rows.astype(np.float32))


def test_labels_are_right_as_often_as_due_on_listings_not_fitted_to() -> None:
    calibration = calibrate(*drawn())
    precision = calibration.precision
    assert precision.same_item
    assert precision.same_item.value >= 0.95
    assert precision.very_similar
    assert precision.very_similar.value >= 0.8
    assert precision.found
    assert precision.found.value > 0.3
    assert precision.strangers
    assert precision.strangers.value > 0.8
    assert precision.lost
    assert precision.lost.value < 0.15
    assert (calibration.photos, calibration.listings) == (2 * LISTINGS, LISTINGS)
    assert calibrate(*drawn()) == calibration


def test_kinds_that_nothing_shows_are_not_told() -> None:
    catalogue, held_out = drawn()
    names = np.random.default_rng(0).permutation(LISTINGS) % KINDS
    shuffled = tuple(f"kind {names[row // 2]}" for row in range(len(catalogue.photos)))
    photos = replace(catalogue.photos, categories=shuffled)
    calibration = calibrate(replace(catalogue, photos=photos), held_out)
    assert MatchLabel.VERY_SIMILAR in withheld_labels(calibration)
    assert calibration.same_item


def test_without_categories_the_same_item_is_told() -> None:
    catalogue, held_out = drawn()
    photos = replace(catalogue.photos, categories=(UNKNOWN,) * len(catalogue.photos))
    calibration = calibrate(replace(catalogue, photos=photos), held_out)
    assert MatchLabel.VERY_SIMILAR in withheld_labels(calibration)
    assert calibration.precision.very_similar is None
    assert calibration.same_item


def test_a_listing_that_shows_the_same_photo_is_no_mistake() -> None:
    catalogue, held_out = drawn()
    # Each photo is offered by a second listing, too.
    count = len(catalogue.photos)
    again = replace(
        catalogue.photos,
        hashes=catalogue.photos.hashes + tuple(f"{count + row:064}" for row in range(count)),
        listings=catalogue.photos.listings + tuple(f"again {row // 2:04}" for row in range(count)),
        categories=catalogue.photos.categories * 2,
    )
    twice = Catalogue(again, np.tile(catalogue.vectors, (2, 1)), [None] * 2 * count, UNKNOWN)
    assert calibrate(twice, held_out).same_item is None
    hashes = np.random.default_rng(0).integers(-(2**63), 2**63, count).tolist()
    assert calibrate(replace(twice, phashes=hashes * 2), held_out).same_item


@pytest.mark.parametrize("has_categories", [True, False])
def test_what_is_adapted_is_calibrated_as_it_was_not_learned_from(has_categories: bool) -> None:
    catalogue, held_out = drawn()
    kinds = np.repeat(np.arange(LISTINGS) % KINDS, 2)
    adaptation = learn(catalogue.vectors, kinds)
    if not has_categories:
        photos = replace(catalogue.photos, categories=(UNKNOWN,) * len(catalogue.photos))
        catalogue = replace(catalogue, photos=photos)
    calibration = calibrate(catalogue, held_out, adaptation)
    assert calibration.precision.strangers
    assert calibration.precision.strangers.value > 0.8
    assert calibration.precision.same_item
    assert (MatchLabel.VERY_SIMILAR not in withheld_labels(calibration)) == has_categories
    # Looks are cosines of other vectors than similarities are.
    assert calibration.related != calibration.stranger


def test_an_interval_of_a_share_says_how_few_there_were() -> None:
    assert wilson(1.0, 100) == pytest.approx((0.963, 1.0), abs=1e-3)
    assert wilson(0.5, 10) == pytest.approx((0.237, 0.763), abs=1e-3)
    assert wilson(0.0, 0) == (0.0, 1.0)
