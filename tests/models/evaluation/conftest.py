"""A small labelled catalogue, and vectors as an encoder of a chosen quality would give."""

import numpy as np
import pytest

from models.encoders.encoder import unit_rows
from models.evaluation.compare import Comparison, compare
from models.evaluation.retrieval_metrics import Floats
from models.labels import LabelledPhotos
from tests.support.evaluation import BAD, CATEGORIES, GOOD, Vectors
from tests.support.pictures import jpeg

LISTINGS = 18


@pytest.fixture(scope="session")
def photos() -> LabelledPhotos:
    """18 listings of three categories, with one, two or three photos each."""
    listings = [listing for listing in range(LISTINGS) for _ in range(listing % 3 + 1)]
    return LabelledPhotos(
        hashes=tuple(str(number) for number in range(len(listings))),
        listings=tuple(f"listing {listing}" for listing in listings),
        categories=tuple(CATEGORIES[listing % 7 % 3] for listing in listings),
        fetch=lambda digest: jpeg(int(digest), (64, 48)),
    )


@pytest.fixture(scope="session")
def vectors(photos: LabelledPhotos) -> Vectors:
    """Makes vectors that say the category, under so much noise."""

    def make(noise: float) -> Floats:
        rng = np.random.default_rng(1)
        rows = noise * rng.normal(size=(len(photos), GOOD.dimension))
        rows[np.arange(len(photos)), [CATEGORIES.index(name) for name in photos.categories]] += 1
        return unit_rows(rows.astype(np.float32))

    return make


@pytest.fixture(scope="session")
def comparison(photos: LabelledPhotos, vectors: Vectors) -> Comparison:
    """A good encoder, then a bad one."""
    return compare({GOOD: vectors(0.1), BAD: vectors(2.0)}, photos)
