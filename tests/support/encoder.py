"""A small encoder for tests that are not about encoders: a 4 by 4 thumbnail as a vector."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.domain import EncoderSpec
from models.encoders.base import unit_rows

SIDE = 4


class ThumbnailEncoder:
    """Embeds a photo as its centred thumbnail; one of a single grey has nothing to compare."""

    def __init__(self, name: str = "thumbnail") -> None:
        self.spec = EncoderSpec(name, SIDE * SIDE * 3, f"{name:0<64}")
        self.embedded = 0

    def load(self) -> None:
        """Nothing to load."""

    def embed(self, photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        """One row a photo."""
        self.embedded += len(photos)
        rows = [
            np.asarray(photo.resize((SIDE, SIDE)), np.float32).reshape(-1) - 128 for photo in photos
        ]
        return unit_rows(np.array(rows, np.float32).reshape(len(photos), self.spec.dimension))
