"""JPEG: tables and scans are handed to the decoder, application segments and comments are not."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from models.domain.errors import InvalidPhoto
from models.photo_formats.metadata import MAX_PROFILE, orientation_of
from models.photo_formats.opened import (
    DECODER_ERRORS,
    Box,
    Opened,
    Pixels,
    Size,
    bounded,
    noise,
    refuse_large,
    refuse_missing,
    share_from_top,
)

SIGNATURE: Final = b"\xff\xd8\xff"

MAX_PIXELS: Final = 250_000_000
"""Phones make up to 200 million. Decoding coarsely, the decoder holds some rows of these only."""

MAX_PIXELS_IN_SCANS: Final = 70_000_000
"""For photos of several scans, as progressive ones: the decoder holds all their coefficients, up to
6 bytes a pixel."""

# Photos have about ten scans at most. Each scan costs a pass over all pixels however few bytes it
# has, so without a limit a file of 400 kB keeps the decoder busy for half a minute.
MAX_JPEG_SCANS: Final = 100

MAX_SCANNED_PIXELS: Final = 1_000_000_000
"""Of all scans together: a second or so. The largest photo in several scans may have fourteen."""

COEFFICIENT_BYTES: Final = 6
"""Of a pixel, at most, of a photo in several scans."""

# A JPEG is decoded at no less than this share of the size it is wanted in. 12 megapixels are 4,000
# to 4,032 pixels wide, an eighth of which just falls short of `LONG_SIDE`: enlarging that a little
# takes a quarter less time than reducing a fourth, and leaves the cosine of embeddings above 0.99.
ENOUGH_OF_A_SIDE: Final = 15 / 16

# A marker with a length behind it, or the end of the image: not stuffed bytes, restarts or fill.
_MARKER: Final = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])", re.DOTALL)
_START, _END = b"\xff\xd8", b"\xff\xd9"
_EOI, _SOS, _APP0, _APP1, _APP2, _APP14, _COM = 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_APPLICATION: Final = frozenset(range(_APP0, 0xF0)) | {_COM}

_EXIF, _XMP, _ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
# Both say how colours are coded. Of Adobe's segment only these bytes count, of JFIF's none.
_JFIF, _JFIF_LENGTH = b"JFIF\0", 14
_PLAIN_JFIF: Final = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_ADOBE, _ADOBE_LENGTH = b"Adobe", 12

_COEFFICIENTS: Final = 64
_BLOCK: Final = 8
# Entropy-coded data hardly ends in so many zeros: the rest of a file that was being written.
_UNWRITTEN: Final = bytes(64)
# More than a row of blocks takes, so that the first row that is missing is sure to differ.
_NOISE_BYTES: Final = 1 << 16
# Missing blocks are decoded to these levels in every band.
_MISSING_LEVELS: Final = frozenset({127, 128})


class _Segment(NamedTuple):
    code: int
    start: int
    content: bytes
    end: int


@dataclass(slots=True)
class _Jpeg:
    """The parts of a file. `scans` is all from the first scan's marker to the end marker.

    `coverage` says of each component to which bit each of its coefficients is in the closed scans,
    those with another marker behind them, None if it is in none; `last` is what the last adds.
    """

    tables: list[bytes] = field(default_factory=lambda: [_START])
    scans: bytes = b""
    frame: bytes = b""
    progressive: bool = False
    scan_count: int = 0
    in_parts: bool = False
    ended: bool = False
    exif: list[bytes] = field(default_factory=list)
    xmp: list[bytes] = field(default_factory=list)
    profile: list[bytes] = field(default_factory=list)
    coverage: dict[int, list[int | None]] = field(default_factory=dict)
    last: dict[int, list[int | None]] = field(default_factory=dict)

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        return int.from_bytes(self.frame[3:5]), int.from_bytes(self.frame[1:3])

    def file(self, rest: bytes = b"") -> JpegImageFile:
        """What is handed to the decoder: tables, scans, and the end marker, after `rest`."""
        return JpegImageFile(io.BytesIO(b"".join([*self.tables, self.scans, rest, _END])))


def open_jpeg(data: bytes) -> Opened:
    """Open a JPEG by its header. Raises InvalidPhoto."""
    jpeg = _parse(data)
    if not jpeg.scans or not jpeg.frame:
        raise InvalidPhoto("The photo is damaged: it has no pixels.")
    pixels = jpeg.size[0] * jpeg.size[1]
    if jpeg.in_parts:
        refuse_large(jpeg.size, MAX_PIXELS_IN_SCANS)
        if pixels * jpeg.scan_count > MAX_SCANNED_PIXELS:
            raise InvalidPhoto(
                f"The photo has {jpeg.scan_count} JPEG scans of {pixels:,} pixels; "
                f"at most {MAX_SCANNED_PIXELS:,} pixels in all scans are allowed."
            )
    return Opened(
        jpeg.size,
        partial(_load, jpeg),
        orientation_of(jpeg.exif, jpeg.xmp),
        _profile(jpeg.profile),
        held_bytes=COEFFICIENT_BYTES * pixels if jpeg.in_parts else 0,
    )


def decode_coarsely(image: JpegImageFile, size: Size) -> Box | None:
    """Let a JPEG's decoder halve the photo up to three times towards a smaller size.

    Returns the box of the photo in the decoded pixels: if its sides can't be halved evenly, the
    last column and row are partly outside.
    """
    if image.size == size:
        return None
    width, height = (int(side * ENOUGH_OF_A_SIDE) or 1 for side in size)
    drafted = image.draft(None, (width, height))
    return drafted and drafted[1]


def _segments(data: bytes) -> Iterator[_Segment]:
    """Markers with their segments; what is between them is passed over, as decoders do."""
    position = len(_START)
    while marker := _MARKER.search(data, position):
        code, start = marker[1][0], marker.end()
        # A length counts its own two bytes, whatever it says.
        length = 0 if code == _EOI else max(int.from_bytes(data[start : start + 2]), 2)
        position = start + length
        yield _Segment(code, marker.start(), data[start + 2 : position], position)


def _parse(data: bytes) -> _Jpeg:
    jpeg = _Jpeg()
    first_scan, end = 0, len(data)
    for code, start, content, stop in bounded(_segments(data)):
        if code == _EOI:
            jpeg.ended, end = True, start
            break
        if code == _SOS:
            first_scan = first_scan or start
            _note_scan(jpeg, content)
        elif code in _APPLICATION:
            _note_application(jpeg, code, content)
        else:
            if code in _FRAMES and not jpeg.frame:
                jpeg.frame, jpeg.progressive = content, code in _PROGRESSIVE
            if not first_scan:
                jpeg.tables.append(data[start:stop])
    if first_scan:
        jpeg.scans = data[first_scan:end]
    if not jpeg.ended and jpeg.scans.endswith(_UNWRITTEN):
        jpeg.scans = jpeg.scans.rstrip(b"\0")
    # A last byte 0xff is half of a marker.
    jpeg.scans = jpeg.scans.rstrip(b"\xff") if not jpeg.ended else jpeg.scans
    return jpeg


def _note_application(jpeg: _Jpeg, code: int, content: bytes) -> None:
    if code == _APP0 and content.startswith(_JFIF) and len(content) >= _JFIF_LENGTH:
        jpeg.tables.append(_PLAIN_JFIF)
    elif code == _APP14 and content.startswith(_ADOBE) and len(content) >= _ADOBE_LENGTH:
        kept = content[:_ADOBE_LENGTH]
        jpeg.tables.append(b"\xff\xee" + (len(kept) + 2).to_bytes(2) + kept)
    elif code == _APP1 and content.startswith(_EXIF):
        jpeg.exif.append(content)
    elif code == _APP1 and content.startswith(_XMP):
        jpeg.xmp.append(content)
    elif code == _APP2 and content.startswith(_ICC):
        jpeg.profile.append(content.removeprefix(_ICC))


def _note_scan(jpeg: _Jpeg, header: bytes) -> None:
    """Count the scan; the one before it is closed by it."""
    jpeg.scan_count += 1
    if jpeg.scan_count > MAX_JPEG_SCANS:
        raise InvalidPhoto(f"The photo has more than {MAX_JPEG_SCANS} JPEG scans.")
    components = jpeg.frame[6::3]
    chosen = header[1 : 1 + 2 * (header[0] if header else 0) : 2]
    jpeg.in_parts |= jpeg.progressive or len(chosen) < len(components)
    jpeg.coverage = _covered(jpeg.coverage, jpeg.last)
    first, last, bits = (*header[-3:], 0, 0, 0)[:3]
    if not jpeg.progressive:
        first, last, bits = 0, _COEFFICIENTS - 1, 0
    jpeg.last = {
        component: [
            bits & 15 if first <= number <= last else None for number in range(_COEFFICIENTS)
        ]
        for component in chosen
    }


def _covered(
    coverage: dict[int, list[int | None]], scan: dict[int, list[int | None]]
) -> dict[int, list[int | None]]:
    """The coverage after one more scan."""
    unknown: list[int | None] = [None] * _COEFFICIENTS
    return coverage | {
        component: [
            before if bit is None else bit
            for before, bit in zip(coverage.get(component, unknown), bits, strict=True)
        ]
        for component, bits in scan.items()
    }


def _is_covered(jpeg: _Jpeg, coverage: dict[int, list[int | None]]) -> bool:
    """Whether all coefficients are there to their last bit."""
    return all(
        bit == 0 for component in jpeg.frame[6::3] for bit in coverage.get(component, [None])
    )


def _profile(parts: list[bytes]) -> bytes | None:
    """The colour profile, which is in numbered parts; None if not all are there."""
    numbered = sorted(parts)
    whole = b"".join(part[2:] for part in numbered)
    if not numbered or len(whole) > MAX_PROFILE or numbered[0][1:2] != bytes([len(numbered)]):
        return None
    return whole


def _load(jpeg: _Jpeg, size: Size) -> Pixels:
    image = jpeg.file()
    if image.size != jpeg.size:
        raise InvalidPhoto("The photo is damaged: it states two sizes.")
    region = decode_coarsely(image, size)
    image.load()
    incomplete = False
    if not jpeg.ended or (not jpeg.in_parts and _ends_in_missing(image)):
        incomplete = _is_incomplete(jpeg, image, size)
    return Pixels(image, region, incomplete)


def _ends_in_missing(image: Image.Image) -> bool:
    """Whether the last pixel may be of a missing block, before an early end marker."""
    pixel = image.getpixel((image.width - 1, image.height - 1))
    return set(pixel if isinstance(pixel, tuple) else [pixel]) <= _MISSING_LEVELS


def _is_incomplete(jpeg: _Jpeg, image: Image.Image, size: Size) -> bool:
    """Whether pixels are missing; InvalidPhoto if too many are.

    Of a photo in several scans a pixel is there if all of its scans are.
    """
    if _is_covered(jpeg, jpeg.coverage):
        return False
    if not _is_covered(jpeg, _covered(jpeg.coverage, jpeg.last)):
        raise InvalidPhoto("The photo is damaged: it is cut off before its last scan.")
    share = _share(jpeg, image, size)
    refuse_missing(share)
    return share < 1


def _share(jpeg: _Jpeg, image: Image.Image, size: Size) -> float:
    """The share of the photo's pixels that the last scan has."""
    try:
        other = jpeg.file(noise(_NOISE_BYTES))
        if jpeg.in_parts:
            # At an eighth of its size a photo is decoded from its first coefficients only.
            half = (jpeg.size[0] // 2 or 1, jpeg.size[1] // 2 or 1)
            image = jpeg.file()
            image.draft(None, half)
            other.draft(None, half)
        else:
            decode_coarsely(other, size)
        image.load()
        other.load()
        scale = max(round(jpeg.size[1] / image.height), 1)
        return share_from_top(image, other, max(_rows_of_blocks(jpeg) // scale, 1))
    except DECODER_ERRORS:
        return 0


def _rows_of_blocks(jpeg: _Jpeg) -> int:
    """How many rows of pixels the last scan codes together."""
    sampling = [factors & 15 for factors in jpeg.frame[7::3]]
    return _BLOCK if jpeg.in_parts else _BLOCK * max(sampling, default=1)
