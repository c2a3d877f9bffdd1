"""Encoders for tests: real ones by name, and a small one, a 4 by 4 thumbnail as a vector."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.domain.durable_files import sha256_of
from models.domain.types import EncoderSpec
from models.encoders.encoder import Encoder, FeatureMap, unit_rows
from models.encoders.library import EncoderLibrary
from models.encoders.networks.architectures import architecture_named
from models.encoders.runtimes import open_encoder
from models.encoders.specs import HOG, hog_spec, network_spec
from models.encoders.weights import given_weights

SIDE = 4
MAP_SIDE = 8


def spec_of(name: str, weights: Path | None = None) -> EncoderSpec:
    """The identity of `hog`, or of a network with these weights. Raises as the library does."""
    if name == HOG:
        return hog_spec()
    return network_spec(architecture_named(name), sha256_of(given_weights(weights or Path("none"))))


def create_encoder(name: str, weights: Path | None, threads: int) -> Encoder:
    """The encoder of this name with these weights, as nothing was exported; not loaded."""
    spec = spec_of(name, weights)
    if weights is None or name == HOG:
        return open_encoder(EncoderLibrary(name, None, Path("no models")), spec, threads)
    # torch takes seconds to import: not for those who want another encoder.
    from models.encoders.torch_encoder import TorchEncoder  # noqa: PLC0415

    return TorchEncoder(spec, architecture_named(name), weights, threads)


class ThumbnailEncoder:
    """Embeds a photo as its centred thumbnail; one of a single grey has nothing to compare.

    Its feature map is a thumbnail, too: what has other colours than the border is the subject.
    """

    def __init__(self, name: str = "thumbnail") -> None:
        self.spec = EncoderSpec(name, SIDE * SIDE * 3, f"{name:0<64}")
        self.embedded = 0
        self.mapped = 0

    runtime = "Pillow"

    def load(self) -> None:
        """Nothing to load."""

    def embed(self, photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        """One row a photo."""
        self.embedded += len(photos)
        rows = [
            np.asarray(photo.resize((SIDE, SIDE)), np.float32).reshape(-1) - 128 for photo in photos
        ]
        return unit_rows(np.array(rows, np.float32).reshape(len(photos), self.spec.dimension))

    def feature_map(self, photo: Image.Image) -> FeatureMap:
        """One cell a pixel of a thumbnail, one channel a colour."""
        self.mapped += 1
        small = photo.resize((MAP_SIDE, MAP_SIDE), Image.Resampling.BOX)
        return FeatureMap(np.asarray(small, np.float32), 0.5 / MAP_SIDE, 1 / MAP_SIDE)
