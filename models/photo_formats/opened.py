"""What every format gives: a photo whose header is read, and its pixels when they are asked for."""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

from PIL import Image, ImageChops

from models.domain.errors import InvalidPhoto

# Left, upper, right and lower edge, in pixels.
Box = tuple[float, float, float, float]
Size = tuple[int, int]

Part = TypeVar("Part")

ENOUGH_PIXELS: Final = 0.95
"""A photo is taken if at least this share of its pixels is there."""

MOST_PARTS: Final = 20_000
"""How many segments, chunks or boxes a file may have: each costs microseconds, however short."""

DECODER_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
    Warning,
)
"""Exceptions of decoders on damaged files, found by fuzzing and in their source. `Warning` is for
runs in which warnings are errors."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """Decoded pixels in any mode of Pillow.

    `region` is the box of the photo in `image`, where it is not all of it; `incomplete` says that
    a small share of the photo's pixels was not in the file.
    """

    image: Image.Image
    region: Box | None = None
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A photo by its header: nothing is decoded before `load`.

    `size` is in pixels, `load` is given the size that is wanted, to which a decoder may decode
    coarsely. `orientation` is what EXIF calls it: 1 is upright. `profile` is an ICC profile.
    `held_bytes` is what a decoder holds of all pixels although it decodes coarsely.
    """

    size: Size
    load: Callable[[Size], Pixels]
    orientation: int = 1
    profile: bytes | None = None
    held_bytes: int = 0


def bounded(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts of a file; raises InvalidPhoto when they are more than `MOST_PARTS`."""
    for number, part in enumerate(parts):
        if number >= MOST_PARTS:
            raise InvalidPhoto(f"The photo's file has more than {MOST_PARTS:,} parts.")
        yield part


def refuse_missing(share: float) -> None:
    """Raise InvalidPhoto if less than `ENOUGH_PIXELS` of the photo's pixels are there."""
    if share < ENOUGH_PIXELS:
        raise InvalidPhoto(
            f"The photo is damaged: only {share:.0%} of its pixels are there, "
            f"at least {ENOUGH_PIXELS:.0%} are needed."
        )


def refuse_large(size: Size, max_pixels: int) -> None:
    """Raise InvalidPhoto if the photo has more pixels than this."""
    width, height = size
    if width * height > max_pixels:
        raise InvalidPhoto(
            f"The photo has {width} x {height} pixels; at most {max_pixels:,} pixels are allowed."
        )


# Which pixels a cut file has, decoders do not say. So it is decoded twice, continued by zeros and
# by noise: pixels that come out the same do not depend on what is missing.


def noise(length: int) -> bytes:
    """Bytes to continue a cut file with, the same each time; none of them is 0xff."""
    return Random(length).randbytes(length).replace(b"\xff", b"\x7f")


def share_from_top(one: Image.Image, other: Image.Image, block: int) -> float:
    """The share of pixels before the first that differs.

    For decoders that go from left to right and from top to bottom, in blocks of so many rows.
    """
    differs = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    found = differs.getbbox()
    if found is None:
        return 1.0
    top, width, height = found[1], one.width, one.height
    block = min(block, height - top)
    row_of_blocks = differs.crop((0, top, width, top + block)).getbbox()
    left = row_of_blocks[0] if row_of_blocks else 0
    return (top * width + block * left) / (width * height)


def share_of_pixels(one: Image.Image, other: Image.Image) -> float:
    """The share of pixels that are the same."""
    bands = ImageChops.difference(one, other).split()
    most = bands[0]
    for band in bands[1:]:
        most = ImageChops.lighter(most, band)
    return most.histogram()[0] / (one.width * one.height)
