"""How good a photo is for being found: the numbers, and what is wrong with it in words.

Thresholds are measured on real photos, and on copies that were made worse: decision 0038.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from models.domain.types import PhotoFlaw
from models.encoders.networks.architectures import RESNET50

MOST_BLUR: Final = 0.5
LEAST_BRIGHTNESS: Final = 0.55
LEAST_SIDE: Final = 96
"""Pixels of the short side, as the photo is kept: photos are not kept larger than 512 a side."""

# What a network's activations are like depends on how it was trained.
_LEAST_CONTRAST: Final = {RESNET50.name: 0.65}
_LEAST_CONTRAST_OF_OTHERS: Final = 1.0

_BRIGHT_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True)
class PhotoQuality:
    """What is measured of a photo.

    `blur` is how little a further blur would change, from 0 (sharp) to 1. `brightness` is what the
    lightest twentieth of the pixels has at least, from 0 to 1. `short_side` is in pixels.
    `contrast` is `Subjects.contrast`, None where no network has seen the photo.
    """

    blur: float
    brightness: float
    short_side: int
    contrast: float | None


def photo_quality(photo: Image.Image, contrast: float | None) -> PhotoQuality:
    """Measure an upright RGB photo.

    Its blur as in Crete et al., "The Blur Effect: Perception and Estimation with a New No-Reference
    Perceptual Blur Metric", 2007, by scikit-image.
    """
    # Takes half a second and 35 MB, which only predictions need.
    from skimage.measure import blur_effect  # noqa: PLC0415

    luma = np.asarray(photo.convert("L"), np.float32) / 255
    blur = 1.0
    if np.ptp(luma) > 0 and min(luma.shape) > 1:
        blur = blur_effect(luma)  # type: ignore[no-untyped-call] # it ships no types
    return PhotoQuality(
        blur=float(blur),
        brightness=float(np.quantile(luma, 1 - _BRIGHT_SHARE)),
        short_side=min(photo.size),
        contrast=contrast,
    )


def flaws(quality: PhotoQuality, network: str) -> Iterator[PhotoFlaw]:
    """What is wrong with a photo of this quality, whose contrast is by the network of this name."""
    if quality.blur > MOST_BLUR:
        yield PhotoFlaw.BLURRED
    if quality.brightness < LEAST_BRIGHTNESS:
        yield PhotoFlaw.DARK
    if quality.short_side < LEAST_SIDE:
        yield PhotoFlaw.TOO_SMALL
    least = _LEAST_CONTRAST.get(network, _LEAST_CONTRAST_OF_OTHERS)
    if quality.contrast is not None and quality.contrast < least:
        yield PhotoFlaw.NO_CLEAR_SUBJECT
