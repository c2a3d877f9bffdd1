"""The interface of encoders: photos to unit vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self, runtime_checkable

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


CELL_PITCH: Final = 32
"""Pixels between the centres of two cells of a last feature map: networks halve five times."""
FIRST_CELL: Final = 3
"""The pixel at which the first cell is centred, half a pixel or three by how a network pads."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMap:
    """The last feature map of a network over all of a photo, whose sides were made equal.

    `cells` are (rows, columns, channels). Cell i is centred at `first` + i * `pitch`, in fractions
    of the photo's width and of its height.
    """

    cells: NDArray[np.float32]
    first: float
    pitch: float

    @classmethod
    def of(cls, channels: NDArray[np.float32], side: int) -> Self:
        """What a network made of a square of `side` pixels: (channels, rows, columns)."""
        cells = np.ascontiguousarray(channels.transpose(1, 2, 0))
        return cls(cells, FIRST_CELL / side, CELL_PITCH / side)


@runtime_checkable
class MapsFeatures(Protocol):
    """An encoder with a network, which sees where in a photo something is."""

    def feature_map(self, photo: Image.Image) -> FeatureMap:
        """The last feature map of all of an upright RGB photo, not of its middle only.

        Takes about as long as to embed it, and changes no vector. Raises `WeightsError`.
        """
        ...


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each row to length 1; rows of zeros stay as they are."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return np.ascontiguousarray(vectors * scale, dtype=np.float32)
