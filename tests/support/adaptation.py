"""An adapted encoder that tests make themselves."""

from pathlib import Path

import numpy as np

from models.adaptation.adaptation import Adaptation
from models.adaptation.encoder import AdaptedEncoder
from models.adaptation.package import AdaptedPackage, write_adapted_package
from models.domain.types import EncoderSpec
from models.encoders.encoder import Encoder


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
