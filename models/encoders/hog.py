"""Gradients and colours of the item in a photo: no weights; the baseline of other encoders.

Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005, by
scikit-image, taken of the part of the photo that stands out from its border; with a small CIE Lab
thumbnail of that part. The parameters are documented in `models.encoders.specs.HogTransform`.
"""

from collections.abc import Sequence
from math import ceil, floor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from skimage.color import rgb2lab
from skimage.feature import hog
from skimage.transform import resize

from models.domain.types import EncoderSpec
from models.encoders.encoder import unit_rows
from models.encoders.specs import HOG_TRANSFORM as T

Floats = NDArray[np.float64]

MID_GREY = (50.0, 0.0, 0.0)
# Reduces before resampling, at no loss that shows.
REDUCING_GAP = 3.0


class HogEncoder:
    """Embeds photos by their gradients and colours, without learned weights."""

    def __init__(self, spec: EncoderSpec) -> None:
        self._spec = spec

    @property
    def spec(self) -> EncoderSpec:
        """The identity of this encoder."""
        return self._spec

    @property
    def runtime(self) -> str:
        """The library that computes it."""
        return "scikit-image"

    def load(self) -> None:
        """Do nothing."""

    def embed(self, photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Embed upright RGB photos; see `Encoder.embed`."""
        vectors = np.empty((len(photos), self._spec.dimension), np.float32)
        for row, photo in zip(vectors, photos, strict=True):
            row[:] = _describe(photo)
        return unit_rows(vectors)


class Box(NamedTuple):
    """A part of a photo, as shares of its width and height."""

    left: float
    top: float
    right: float
    bottom: float

    def scaled(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The whole pixels that the box touches."""
        return (
            floor(self.left * width),
            floor(self.top * height),
            ceil(self.right * width),
            ceil(self.bottom * height),
        )


def _describe(photo: Image.Image) -> Floats:
    lab = rgb2lab(np.asarray(_resized(photo, T.salience_side)))
    salience = _salience(lab)
    box = _item_box(salience)
    return np.concatenate(
        [_unit(_gradients(photo, box)), T.colour_weight * _unit(_colours(lab, salience, box))]
    )


def _salience(lab: Floats) -> Floats:
    """The salience of each pixel of a square Lab picture, in [0, 1]."""
    edge = T.border
    border = np.concatenate(
        [strip.reshape(-1, 3) for strip in (lab[:edge], lab[-edge:], lab[:, :edge], lab[:, -edge:])]
    )[:: T.border_step]
    # The nearest border colour, not the mean one: a background may have several, as a floor
    # before a wall has.
    distance = np.linalg.norm(lab[:, :, None] - border, axis=3).min(axis=2)
    along = np.linspace(-1, 1, len(lab))
    centredness = np.exp(-(along[:, None] ** 2 + along**2) / T.spread)
    salience: Floats = np.clip(distance / T.contrast, 0, 1) * centredness
    return salience


def _item_box(salience: Floats) -> Box:
    """The box that holds all but `trim` of the salience on each side; all if there is none."""
    if not salience.any():
        return Box(0, 0, 1, 1)
    left, right = _span(salience.sum(axis=0))
    top, bottom = _span(salience.sum(axis=1))
    return Box(left, top, right, bottom)


def _span(profile: Floats) -> tuple[float, float]:
    share = np.cumsum(profile) / profile.sum()
    first = np.searchsorted(share, T.trim) / len(profile) - T.margin
    last = (np.searchsorted(share, 1 - T.trim) + 1) / len(profile) + T.margin
    return max(0.0, float(first)), min(1.0, float(last))


def _gradients(photo: Image.Image, box: Box) -> Floats:
    item = _resized(photo.crop(box.scaled(*photo.size)), T.gradient_side)
    histograms = hog(
        np.asarray(item.filter(ImageFilter.GaussianBlur(T.blur))),
        orientations=T.orientations,
        pixels_per_cell=(T.cell, T.cell),
        cells_per_block=(T.block, T.block),
        block_norm="L2-Hys",
        channel_axis=-1,
    ).reshape(-1, T.orientations)
    # Without its mean a histogram says which directions prevail, not how busy the cell is.
    centred: Floats = histograms - histograms.mean(axis=1, keepdims=True)
    return centred.ravel()


def _colours(lab: Floats, salience: Floats, box: Box) -> Floats:
    """A Lab thumbnail of the item with the background masked out."""
    left, top, right, bottom = box.scaled(*lab.shape[:2])
    part = np.s_[top:bottom, left:right]
    item = (lab[part] - MID_GREY) * salience[part][:, :, None]
    thumbnail: Floats = resize(item, (T.colour_side, T.colour_side, 3), anti_aliasing=True)
    return (thumbnail * (T.lightness_weight, 1, 1)).ravel()


def _resized(photo: Image.Image, side: int) -> Image.Image:
    return photo.resize((side, side), Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)


def _unit(values: Floats) -> Floats:
    length = np.linalg.norm(values)
    return values / length if length > 0 else values
