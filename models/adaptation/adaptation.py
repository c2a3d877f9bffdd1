"""A linear map of an encoder's vectors, and what identifies the encoder that it makes.

numpy and safetensors only: a search worker applies it to every query.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.domain.errors import WeightsRefused
from models.domain.types import EncoderSpec
from models.encoders.encoder import unit_rows

Floats = NDArray[np.float32]

_MATRIX: Final = "matrix"
_OFFSET: Final = "offset"
_SIZES: Final = "sizes"
_WEIGHTS: Final = "weights"


@dataclass(frozen=True, slots=True, eq=False)
class Adaptation:
    """A map of unit vectors (n, base dimension) to unit vectors (n, dimension).

    `offset` (base dimension,) is subtracted, the rest multiplied by `matrix` (base dimension,
    dimension). The columns are blocks of `sizes`: each block is scaled to the length of its
    weight, the root of its share in similarities, of `weights`; a single block to 1.
    """

    matrix: Floats
    offset: Floats
    sizes: tuple[int, ...]
    weights: tuple[float, ...]

    @property
    def dimension(self) -> int:
        """How many numbers an adapted vector has."""
        return sum(self.sizes)

    def apply(self, vectors: Floats) -> Floats:
        """Adapt vectors (n, base dimension): unit rows (n, dimension); zeros stay zeros."""
        mapped = ((vectors - self.offset) @ self.matrix).astype(np.float32, copy=False)
        mapped[~vectors.any(axis=1)] = 0
        start = 0
        for size, weight in zip(self.sizes, self.weights, strict=True):
            block = slice(start, start + size)
            mapped[:, block] = unit_rows(mapped[:, block]) * np.float32(weight)
            start += size
        return unit_rows(mapped)

    def restoration(self) -> "Restoration":
        """What leads back from adapted vectors to the base's; made once, it is applied quickly."""
        block = self.matrix[:, : self.sizes[0]]
        directions = (block / np.square(block).sum(axis=0)).T
        return Restoration(np.ascontiguousarray(directions), self.offset)

    def to_bytes(self) -> bytes:
        """The file of this map; the same map gives the same file."""
        return save(
            {
                _MATRIX: np.ascontiguousarray(self.matrix, np.float32),
                _OFFSET: np.ascontiguousarray(self.offset, np.float32),
                _SIZES: np.array(self.sizes, np.int64),
                _WEIGHTS: np.array(self.weights, np.float32),
            }
        )


@dataclass(frozen=True, slots=True, eq=False)
class Restoration:
    """A map of adapted vectors (n, dimension) to about what the base's were (n, base dimension).

    An adapted vector says how a photo differs from others of the catalogue, and two photos that
    both are unlike all of it may differ from it in the same way. How much two photos look alike for
    who has not learned from the catalogue is the cosine of these. They are the one point on the
    unit sphere in the direction that the map's first block tells: its columns are orthogonal, as
    `learn` makes them, and hold most of what the base's vectors hold.

    `directions` (size of that block, base dimension) undo it, `offset` is what was subtracted: a
    mean of unit vectors, which is within the sphere.
    """

    directions: Floats
    offset: Floats

    def apply(self, vectors: Floats) -> Floats:
        """Restore adapted vectors: unit rows; zeros stay zeros."""
        towards = unit_rows(vectors[:, : len(self.directions)] @ self.directions)
        along = towards @ self.offset
        within = np.maximum(0, 1 - self.offset @ self.offset)
        lengths = np.sqrt(np.square(along) + within) - along
        restored = self.offset + lengths[:, np.newaxis] * towards
        restored[~vectors.any(axis=1)] = 0
        return unit_rows(restored.astype(np.float32, copy=False))


def read_adaptation(path: Path, base: EncoderSpec) -> Adaptation:
    """Read a map of this encoder's vectors. Raises `WeightsRefused` if it is damaged or is none."""
    try:
        tensors = load(path.read_bytes())
        found = Adaptation(
            tensors[_MATRIX],
            tensors[_OFFSET],
            tuple(tensors[_SIZES].tolist()),
            tuple(tensors[_WEIGHTS].tolist()),
        )
    except (OSError, SafetensorError, KeyError) as error:
        raise WeightsRefused(f"{path} can't be read as an adaptation.") from error
    if (
        found.matrix.shape != (base.dimension, found.dimension)
        or found.offset.shape != (base.dimension,)
        or len(found.sizes) != len(found.weights)
        or min(found.sizes, default=0) < 1
        or not all(np.isfinite(tensor).all() for tensor in tensors.values())
    ):
        raise WeightsRefused(f"{path} is not an adaptation of {base.label}.")
    return found
