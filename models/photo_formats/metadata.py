"""The two things in a photo's metadata that change how it looks, and bounds for reading them."""

import re
import struct
import zlib
from collections.abc import Iterable
from typing import Final

UPRIGHT: Final = 1

MAX_METADATA: Final = 1 << 20
"""How many bytes of one piece of metadata are read, after decompression."""

MAX_PROFILE: Final = 4 << 20
"""The largest colour profile that is applied, in bytes: those of printers take up to 3 MB."""

_ORIENTATION_TAG: Final = 0x0112
# The types of TIFF that hold a whole number, and how struct calls them.
_WHOLE_NUMBERS: Final = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
_XMP_ORIENTATION: Final = re.compile(rb'tiff:Orientation(?:\s*=\s*["\']|>)\s*([0-9])')
_EXIF_PREFIX: Final = b"Exif\0\0"


def inflated(data: bytes, most: int) -> bytes:
    """The first bytes, at most so many, of what zlib has compressed; damaged data gives b""."""
    try:
        return zlib.decompressobj().decompress(data, most)
    except zlib.error:
        return b""


def orientation_of(exif: Iterable[bytes], xmp: Iterable[bytes]) -> int:
    """The orientation as EXIF numbers it: the first that EXIF data states, else XMP data.

    Unreadable data states none.
    """
    for data in exif:
        if (stated := _exif_orientation(data)) is not None:
            return stated
    for data in xmp:
        if found := _XMP_ORIENTATION.search(data[:MAX_METADATA]):
            return int(found[1])
    return UPRIGHT


def _exif_orientation(data: bytes) -> int | None:
    """The orientation in EXIF data, which is a TIFF header and a directory of tags."""
    while data.startswith(_EXIF_PREFIX):
        data = data.removeprefix(_EXIF_PREFIX)
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return None
    try:
        (at,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(f"{order}HHI", data, entry)
            if tag == _ORIENTATION_TAG:
                if kind not in _WHOLE_NUMBERS or values != 1:
                    return UPRIGHT
                (value,) = struct.unpack_from(order + _WHOLE_NUMBERS[kind], data, entry + 8)
                return int(value)
    except struct.error:  # cut off
        return None
    return None
