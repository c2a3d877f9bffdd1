"""HEIC by libheif and libde265, AVIF by libavif and dav1d."""

import io
from functools import partial
from typing import Final

import pi_heif
from PIL import ExifTags
from PIL.AvifImagePlugin import AvifImageFile

from models.domain.errors import InvalidPhoto
from models.photo_formats.boxes import BoxedPhoto
from models.photo_formats.metadata import MAX_PROFILE, UPRIGHT
from models.photo_formats.opened import (
    ENOUGH_PIXELS,
    Opened,
    Pixels,
    Size,
    noise,
    refuse_missing,
    share_of_pixels,
)

MAX_PIXELS: Final = 70_000_000
"""Phones of 64 million: about 15 bytes of memory a pixel."""


def open_boxed(photo: BoxedPhoto) -> Opened:
    """Open a HEIC or AVIF by its header. Raises InvalidPhoto, and what decoders raise."""
    data = photo.data
    if photo.missing:
        if photo.missing > len(data) * 2 * (1 - ENOUGH_PIXELS):
            refuse_missing(len(data) / (len(data) + photo.missing))
        data += bytes(photo.missing)
    opened = _open_heic(data) if photo.is_hevc else _open_avif(data)
    if not photo.missing:
        return opened
    other = _open_heic if photo.is_hevc else _open_avif
    continued = photo.data + noise(photo.missing)
    return Opened(
        opened.size,
        partial(_load_cut, opened, other(continued)),
        opened.orientation,
        opened.profile,
    )


def _load_cut(opened: Opened, other: Opened, size: Size) -> Pixels:
    image = opened.load(size).image
    share = share_of_pixels(image, other.load(size).image)
    refuse_missing(share)
    return Pixels(image, incomplete=share < 1)


def _open_heic(data: bytes) -> Opened:
    file = pi_heif.open_heif(io.BytesIO(data))
    if not len(file):
        raise InvalidPhoto("The photo is damaged: it has no pixels.")
    # The decoder turns it upright itself.
    return Opened(file.size, partial(_load_heic, file), UPRIGHT, _bounded(file.info))


def _load_heic(file: pi_heif.HeifFile, size: Size) -> Pixels:
    del size
    image = file.to_pillow()
    return Pixels(image.convert(image.mode.upper()) if image.mode.endswith("a") else image)


def _open_avif(data: bytes) -> Opened:
    image = AvifImageFile(io.BytesIO(data))
    orientation = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    return Opened(image.size, partial(_load_avif, image), orientation, _bounded(image.info))


def _load_avif(image: AvifImageFile, size: Size) -> Pixels:
    del size
    image.load()
    return Pixels(image)


def _bounded(info: dict[str, object]) -> bytes | None:
    profile = info.get("icc_profile")
    return profile if isinstance(profile, bytes) and 0 < len(profile) <= MAX_PROFILE else None
