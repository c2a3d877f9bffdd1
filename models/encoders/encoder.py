"""The interface of encoders: photos to unit vectors."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.domain.types import EncoderSpec


class Encoder(Protocol):
    """Turns photos into vectors whose dot product is their visual similarity.

    Constructing an encoder reads no file; `load` does, and costs time and memory.
    """

    @property
    def spec(self) -> EncoderSpec:
        """The identity of this encoder, known before it is loaded."""
        ...

    @property
    def runtime(self) -> str:
        """The name of the runtime, for display."""
        ...

    def load(self) -> None:
        """Make ready to embed. Calling it again, from any thread, does nothing.

        Raises `WeightsError` if the weights can't be used.
        """
        ...

    def embed(self, photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Embed upright RGB photos, loading first if that has not been done.

        Returns shape (photos, dimension), C-contiguous, each row of length 1, or all zeros for a
        photo in which the encoder finds nothing. A photo's vector does not depend on the others.
        """
        ...


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each row to length 1; rows of zeros stay as they are."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return np.ascontiguousarray(vectors * scale, dtype=np.float32)
