"""Colours by a photo's profile to sRGB, which is what encoders and screens are made for."""

import io
from collections.abc import Callable
from functools import lru_cache
from itertools import chain, product
from typing import Final

from PIL import Image, ImageChops, ImageCms

# The colour space of a profile is stated here.
_SPACE: Final = slice(16, 20)
_MODES: Final = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}

# A profile that changes no colour by more levels is sRGB, as different programs write it.
_ALIKE: Final = 2
_LEVELS: Final = (0, 64, 128, 192, 255)
_PROFILES_KEPT: Final = 8
_GREY_MODES: Final = frozenset({"1", "L", "LA", "I", "I;16", "I;16B"})


def conversion_to_srgb(
    profile: bytes | None, mode: str
) -> Callable[[Image.Image], Image.Image] | None:
    """What brings a photo of this mode to RGB in sRGB; None if its numbers are to be taken as such.

    It is given the photo in RGB, or in CMYK if that is its mode. A profile that is broken or of
    another kind of photo is ignored.
    """
    if not profile:
        return None
    space = _MODES.get(profile[_SPACE])
    if space is None or (space == "CMYK") != (mode == "CMYK"):
        return None
    if space == "L" and mode not in _GREY_MODES:
        return None
    transform = _transform(profile, space)
    if transform is None:
        return None

    def convert(photo: Image.Image) -> Image.Image:
        return transform.apply(photo.getchannel(0) if space == "L" else photo)

    return convert


@lru_cache(maxsize=_PROFILES_KEPT)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From the profile to sRGB; None if it can't be applied, or does nothing."""
    try:
        transform = ImageCms.ImageCmsTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGB",
        )
        probe = _probe(mode)
        converted = transform.apply(probe)
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None
    if mode == "CMYK":
        return transform
    changes = ImageChops.difference(converted, probe.convert("RGB")).tobytes()
    return transform if max(changes) > _ALIKE else None


def _probe(mode: str) -> Image.Image:
    """A pixel of each of some colours."""
    colours = list(product(_LEVELS, repeat=len(Image.new(mode, (1, 1)).getbands())))
    return Image.frombytes(mode, (len(colours), 1), bytes(chain.from_iterable(colours)))
