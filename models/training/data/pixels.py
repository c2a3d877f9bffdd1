"""Photos as small squares of pixels, cached on disk for training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from models.labels import LabelledPhotos
from models.photos import decode
from models.training.data.arrays import Array, OnProgress, PhotoArrays, photo_arrays


@dataclass(frozen=True, slots=True, eq=False)
class PixelSet:
    """Photos, by SHA-256, with the numbers of their categories, and where their pixels are."""

    pixels: PhotoArrays
    hashes: Sequence[str]
    targets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.hashes)

    def photos(self, rows: Sequence[int] | NDArray[np.int64]) -> Tensor:
        """RGB values in [0, 1], (rows, 3, side, side)."""
        squares = torch.from_numpy(self.pixels.take([self.hashes[row] for row in rows]))
        return squares.permute(0, 3, 1, 2).float() / 255


def squares(photos: LabelledPhotos, side: int, cache: Path, on_progress: OnProgress) -> PhotoArrays:
    """The middle square of each photo, the short side of which becomes `side` pixels.

    RGB bytes, (side, side, 3), cached in files under `cache`. After a kill, the next call resumes.
    Raises as `LabelledPhotos.bytes_of` does.
    """

    def compute(hashes: Sequence[str]) -> Array:
        return np.stack([_square(decode(photos.bytes_of(digest)), side) for digest in hashes])

    return photo_arrays(cache / f"squares-{side}", photos.hashes, compute, on_progress)


def _square(photo: Image.Image, side: int) -> Array:
    short = min(photo.size)
    left, top = (photo.width - short) / 2, (photo.height - short) / 2
    box = (left, top, left + short, top + short)
    return np.asarray(photo.resize((side, side), Image.Resampling.BILINEAR, box=box))
