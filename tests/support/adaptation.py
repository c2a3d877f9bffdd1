"""An adapted encoder that tests make themselves."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.adaptation.adaptation import Adaptation
from models.adaptation.adapted_encoder import AdaptedEncoder
from models.adaptation.adapted_package import AdaptedPackage, write_adapted_package
from models.domain.types import EncoderSpec
from models.encoders.encoder import Encoder, unit_rows
from models.labels import LabelledPhotos

LISTINGS = 400
CATEGORIES = 8

Floats = NDArray[np.float32]


def made_up(
    seed: int = 0,
    listings: int = LISTINGS,
    categories: int = CATEGORIES,
    background: float = 0.6,
    dimension: int = 96,
) -> tuple[LabelledPhotos, Floats]:
    """Two photos a listing: a strong background, a weak category, and what only the item has."""
    rng = np.random.default_rng(seed)

    def parts(count: int) -> NDArray[np.float64]:
        return rng.standard_normal((count, dimension))

    background_axes, kinds = parts(5), parts(categories)
    of_listing = np.arange(listings) % categories
    items = 0.7 * parts(listings)
    rows = np.repeat(np.arange(listings), 2)
    backgrounds = background * rng.standard_normal((len(rows), 5)) @ background_axes
    vectors = backgrounds + 0.4 * kinds[of_listing[rows]] + items[rows] + 0.4 * parts(len(rows))
    photos = LabelledPhotos(
        tuple(f"{row:064}" for row in range(len(rows))),
        tuple(f"listing {row:04}" for row in rows),
        tuple(f"category {number}" for number in of_listing[rows]),
        lambda _: b"",
    )
    return photos, unit_rows(vectors.astype(np.float32))


def some_adaptation(
    base: EncoderSpec, seed: int = 0, sizes: tuple[int, ...] = (6, 2)
) -> Adaptation:
    """A random map of an encoder's vectors."""
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((base.dimension, sum(sizes))).astype(np.float32)
    offset = 0.01 * rng.standard_normal(base.dimension).astype(np.float32)
    return Adaptation(matrix, offset, sizes, tuple(1.0 + n for n in range(len(sizes))))


def write_some_adapted(models_dir: Path, base: EncoderSpec, seed: int = 0) -> AdaptedPackage:
    """The folder of an encoder that maps this one's vectors at random."""
    adaptation = some_adaptation(base, seed)
    return write_adapted_package(
        models_dir, base, adaptation.to_bytes(), adaptation.dimension, {"seed": seed}
    )


def open_adapted(package: AdaptedPackage, base: Encoder) -> AdaptedEncoder:
    """The adapted encoder of this folder, with that base."""
    return AdaptedEncoder(package.spec, base, package.map, package.map_sha256)
