"""HEIC by libheif and libde265, AVIF by libavif and dav1d."""

import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

import pi_heif
from PIL import ExifTags, Image
from PIL.AvifImagePlugin import AvifImageFile

from models.domain.errors import InvalidPhoto
from models.photo_formats.boxes import BoxedPhoto
from models.photo_formats.metadata import MAX_PROFILE, UPRIGHT
from models.photo_formats.opened import (
    DECODER_ERRORS,
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

# A cut photo is decoded with two of these behind it, to see which pixels differ. Not each can be:
# some code the same pixels in more bytes than are missing.
_ENDINGS: Final = (b"\0", b"\xff", b"\x55", b"\xaa")
_NEEDED: Final = 2


def open_boxed(photo: BoxedPhoto) -> Opened:
    """Open a HEIC or AVIF by its header. Raises InvalidPhoto, and what decoders raise."""
    open_codec = _open_heic if photo.is_hevc else _open_avif
    if not photo.missing:
        return open_codec(photo.data)
    there = len(photo.data)
    if photo.missing > there * 2 * (1 - ENOUGH_PIXELS):
        refuse_missing(there / (there + photo.missing))
    endings = [byte * photo.missing for byte in _ENDINGS] + [noise(photo.missing)]
    first = open_codec(photo.data + endings[0])
    load = partial(_load_cut, lambda ending: open_codec(photo.data + ending), endings)
    return Opened(first.size, load, first.orientation, first.profile)


def _load_cut(open_ended: Callable[[bytes], Opened], endings: list[bytes], size: Size) -> Pixels:
    """Load the photo as it is with two of these endings: some may not be decoded."""
    images: list[Image.Image] = []
    for ending in endings:
        with suppress(*DECODER_ERRORS):
            images.append(open_ended(ending).load(size).image)
        if len(images) == _NEEDED:
            share = share_of_pixels(*images)
            refuse_missing(share)
            return Pixels(images[0], incomplete=share < 1)
    raise InvalidPhoto("The photo is damaged: it is cut off.")


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


def _bounded(info: Mapping[str | tuple[int, int], object]) -> bytes | None:
    profile = info.get("icc_profile")
    return profile if isinstance(profile, bytes) and 0 < len(profile) <= MAX_PROFILE else None
