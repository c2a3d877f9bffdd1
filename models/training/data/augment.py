"""Data augmentation: photos cropped, mirrored, recoloured, partly erased.

What happens to a photo is a pure function of (seed, epoch, position): nothing has to be kept for a
run to be resumed, and batches may be made in any order.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_CROP, _COLOUR, _ERASE = slice(0, 5), slice(5, 11), slice(11, 15)
_DRAWS: Final = 15
_HALF: Final = 0.5
# Rec. 601, as Pillow makes greys.
_LUMA: Final = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far photos are changed; every amount is drawn evenly from its range.

    `scale` is the share of the area that is kept at least, `aspect` the most by which the sides of
    what is kept differ (a ratio), `colour` the most by which brightness, contrast, saturation and
    each channel change (a share), `erase` the share of photos that lose a square, which covers up
    to `erased` of their area.
    """

    scale: float = 0.35
    aspect: float = 4 / 3
    colour: float = 0.3
    erase: float = 0.25
    erased: float = 0.2


def augment(
    photos: Tensor,
    positions: NDArray[np.int64],
    *,
    size: int,
    seed: int,
    epoch: int,
    augmentation: Augmentation,
) -> Tensor:
    """Change photos at random; `positions` say which photos of the whole they are.

    Takes RGB values in [0, 1] as (photos, 3, side, side), gives such values as
    (photos, 3, size, size).
    """
    draws = torch.from_numpy(_draws(seed, epoch, positions)).to(photos.device)
    cropped = _crop(photos, draws[:, _CROP], size, augmentation)
    recoloured = _recolour(cropped, draws[:, _COLOUR], augmentation.colour)
    return _erase(recoloured, draws[:, _ERASE], augmentation)


def _draws(seed: int, epoch: int, positions: NDArray[np.int64]) -> NDArray[np.float32]:
    """Even draws from [0, 1) for each photo, whatever batch it is in: (photos, draws)."""
    generators = (np.random.default_rng((seed, epoch, position)) for position in positions)
    return np.stack([generator.random(_DRAWS, np.float32) for generator in generators])


def _crop(photos: Tensor, draws: Tensor, size: int, augmentation: Augmentation) -> Tensor:
    """A part of each photo, mirrored or not, stretched to a square of `size` pixels."""
    area, aspect, x, y, mirror = draws.unbind(1)
    side = (augmentation.scale + (1 - augmentation.scale) * area).sqrt()
    stretch = augmentation.aspect ** (aspect - _HALF)
    width, height = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
    flip = torch.where(mirror < _HALF, -1.0, 1.0)
    # As `affine_grid` counts: the photo reaches from -1 to 1.
    zero = torch.zeros_like(width)
    theta = torch.stack(
        [
            torch.stack([width * flip, zero, (2 * x - 1) * (1 - width)], dim=1),
            torch.stack([zero, height, (2 * y - 1) * (1 - height)], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(theta, [len(photos), 3, size, size], align_corners=False)
    return functional.grid_sample(
        photos, grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def _recolour(photos: Tensor, draws: Tensor, colour: float) -> Tensor:
    """Another light: brightness and colour cast, contrast, saturation."""
    change = 1 + colour * (2 * draws - 1)
    brightness, contrast, saturation = change[:, :3, None, None, None].unbind(1)
    # A cast is half as strong as the other changes: colours should remain distinguishable.
    cast = (1 + change[:, 3:, None, None]) / 2
    lit = photos * brightness * cast
    grey = (lit * lit.new_tensor(_LUMA)[:, None, None]).sum(dim=1, keepdim=True)
    toned = grey + saturation * (lit - grey)
    mean = grey.mean(dim=(2, 3), keepdim=True)
    return (mean + contrast * (toned - mean)).clamp(0, 1)


def _erase(photos: Tensor, draws: Tensor, augmentation: Augmentation) -> Tensor:
    """Mid-grey in place of a square of some photos (Zhong et al., "Random Erasing", AAAI 2020)."""
    chance, area, x, y = draws[:, :, None].unbind(1)
    half = (augmentation.erased * area).sqrt() / 2
    along = (torch.arange(photos.shape[-1], device=photos.device) + 0.5) / photos.shape[-1]
    columns, rows = (along - x).abs() < half, (along - y).abs() < half
    hidden = columns[:, None, :] & rows[:, :, None] & (chance < augmentation.erase)[:, :, None]
    return photos.masked_fill(hidden[:, None], _HALF)
