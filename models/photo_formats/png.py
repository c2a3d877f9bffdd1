"""PNG: header, palette, transparency and pixels are handed to the decoder, other chunks are not."""

import io
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Final, NamedTuple

from PIL.PngImagePlugin import PngImageFile

from models.domain.errors import InvalidPhoto
from models.photo_formats.metadata import MAX_METADATA, MAX_PROFILE, inflated, orientation_of
from models.photo_formats.opened import (
    DECODER_ERRORS,
    Opened,
    Pixels,
    Size,
    bounded,
    refuse_missing,
)

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

MAX_PIXELS: Final = 110_000_000
"""A screenshot or a photo of 108 million pixels, at 4 bytes of memory each."""

# Width, height, depth, colour type, two methods of which there is one each, interlacing.
_HEADER: Final = struct.Struct(">IIBBxxB")
_NAME: Final = 4
# Samples of a pixel by colour type, and bytes of a tRNS chunk by those that have one.
_SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_TRANSPARENCY: Final = {0: (2,), 2: (6,), 3: range(257)}
_PALETTE_BYTES: Final = range(3, 3 * 256 + 1, 3)
# Left and upper corner and steps of the passes of an interlaced photo.
_PASSES: Final = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
# So much is lost at most where compressed data is damaged, which is found when it is read.
_PIECE: Final = 256
_INFLATED_AT_ONCE: Final = 1 << 20
# The filter of a row that is told as the difference to the one above: all zeros repeats that.
_UP: Final = b"\x02"

_RAW_EXIF: Final = (b"Raw profile type exif", b"Raw profile type APP1")
_XMP: Final = b"XML:com.adobe.xmp"


class _Chunk(NamedTuple):
    name: bytes
    content: bytes
    checksum: bytes

    @property
    def is_intact(self) -> bool:
        return zlib.crc32(self.content, zlib.crc32(self.name)) == int.from_bytes(self.checksum)

    def written(self) -> bytes:
        length = len(self.content).to_bytes(4)
        return length + self.name + self.content + self.checksum


class _Header(NamedTuple):
    width: int
    height: int
    depth: int
    colour: int
    interlaced: int

    def passes(self) -> Iterator[tuple[int, int, int]]:
        """Width, height and bytes a row, the filter's included, of the passes with pixels."""
        bits = self.depth * _SAMPLES[self.colour]
        for left, top, across, down in _PASSES if self.interlaced else ((0, 0, 1, 1),):
            width = -(-(self.width - left) // across)
            height = -(-(self.height - top) // down)
            if width > 0 and height > 0:
                yield width, height, 1 + (width * bits + 7) // 8


def open_png(data: bytes) -> Opened:
    """Open a PNG by its header; an animated one is its default picture. Raises InvalidPhoto."""
    chunks = bounded(_chunks(data))
    first = next(chunks, None)
    if first is None or first.name != b"IHDR" or len(first.content) != _HEADER.size:
        raise InvalidPhoto("The photo is damaged: it does not begin with a PNG header.")
    header = _Header(*_HEADER.unpack(first.content))
    kept, pixels = [SIGNATURE, first.written()], []
    beside: dict[bytes, bytes] = {}
    for chunk in chunks:
        if chunk.name == b"IDAT":
            pixels.append(chunk.content)
        elif chunk.name == b"PLTE" and len(chunk.content) in _PALETTE_BYTES:
            kept.append(chunk.written())
        elif chunk.name == b"tRNS":
            if chunk.is_intact and len(chunk.content) in _TRANSPARENCY.get(header.colour, ()):
                kept.append(chunk.written())
        else:
            _note_metadata(chunk, beside)
    start = b"".join(kept)
    exif = [beside[name] for name in (b"eXIf", b"raw exif") if name in beside]
    xmp = [beside[_XMP]] if _XMP in beside else []
    return Opened(
        (header.width, header.height),
        partial(_load, start, pixels, header),
        orientation_of(exif, xmp),
        beside.get(b"iCCP") or None,
    )


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """The chunks up to the end chunk; of a cut one what is there."""
    position = len(SIGNATURE)
    while position + 2 * _NAME <= len(data):
        length = int.from_bytes(data[position : position + _NAME])
        start = position + 2 * _NAME
        name, end = data[position + _NAME : start], start + length
        if name == b"IEND" or not name.isalpha():
            return
        yield _Chunk(name, data[start:end], data[end : end + 4])
        position = end + 4


def _note_metadata(chunk: _Chunk, beside: dict[bytes, bytes]) -> None:
    """Note the first chunk that says something of each kind, if it is intact."""
    name, content, _ = chunk
    if name not in {b"eXIf", b"iCCP", b"tEXt", b"zTXt", b"iTXt"} or not chunk.is_intact:
        return
    if name == b"eXIf":
        beside.setdefault(b"eXIf", content[:MAX_METADATA])
        return
    keyword, _, rest = content[:MAX_METADATA].partition(b"\0")
    if name == b"iCCP" and b"iCCP" not in beside:
        profile = inflated(content[len(keyword) + 2 :], MAX_PROFILE + 1)
        beside[b"iCCP"] = profile if len(profile) <= MAX_PROFILE else b""
    elif name in {b"tEXt", b"zTXt"} and keyword in _RAW_EXIF and b"raw exif" not in beside:
        text = rest if name == b"tEXt" else inflated(rest[1:], MAX_METADATA)
        beside[b"raw exif"] = _unhexed(text)
    elif name == b"iTXt" and keyword == _XMP and _XMP not in beside:
        # A flag, a method, and two names that end in a zero byte.
        text = rest[2:].split(b"\0", 2)[-1]
        beside[_XMP] = inflated(text, MAX_METADATA) if rest[:1] == b"\1" else text


def _unhexed(text: bytes) -> bytes:
    """EXIF data as ImageMagick writes it: a name, a length, and lines of hexadecimal digits."""
    digits = b"".join(text.split(b"\n")[3:])
    try:
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return b""


def _load(start: bytes, pixels: list[bytes], header: _Header, size: Size) -> Pixels:
    del size
    compressed = b"".join(pixels)
    image = PngImageFile(io.BytesIO(_file(start, compressed)))
    try:
        image.load()
    except DECODER_ERRORS:
        whole = _completed(compressed, header)
        image = PngImageFile(io.BytesIO(_file(start, whole)))
        image.load()
        return Pixels(image, incomplete=True)
    return Pixels(image)


def _file(start: bytes, compressed: bytes) -> bytes:
    pixels = b"IDAT" + compressed
    parts = [start, len(compressed).to_bytes(4), pixels, zlib.crc32(pixels).to_bytes(4)]
    return b"".join([*parts, b"\0\0\0\0IEND\xaeB`\x82"])


def _completed(compressed: bytes, header: _Header) -> bytes:
    """The compressed pixels, rows that are missing replaced by the last that is there.

    Compressed again as they are inflated, so that they are never all in memory. Raises InvalidPhoto
    if too many are missing.
    """
    if header.colour not in _SAMPLES:
        raise InvalidPhoto("The photo is damaged: it can't be decoded.")
    passes = list(header.passes())
    expected = sum(height * row for _, height, row in passes)
    again = zlib.compressobj(1)
    written, there = [], 0
    for piece in _inflated(compressed, expected):
        there += len(piece)
        written.append(again.compress(piece))
    refuse_missing(_pixels_in(there, passes) / (header.width * header.height))
    position = 0
    for _, height, row in passes:
        for _ in range(height):
            lacks = min(position + row - there, row)
            position += row
            if lacks == row:
                written.append(again.compress(_UP + bytes(row - 1)))
            elif lacks > 0:
                written.append(again.compress(bytes(lacks)))
    return b"".join([*written, again.flush()])


def _inflated(compressed: bytes, most: int) -> Iterator[bytes]:
    """What can be inflated, at most so many bytes."""
    inflating = zlib.decompressobj()
    try:
        for position in range(0, len(compressed), _PIECE):
            rest = compressed[position : position + _PIECE]
            while rest and most:
                piece = inflating.decompress(rest, min(_INFLATED_AT_ONCE, most))
                rest = inflating.unconsumed_tail
                most -= len(piece)
                yield piece
    except zlib.error:
        return


def _pixels_in(length: int, passes: list[tuple[int, int, int]]) -> int:
    """How many pixels are in whole rows of the first bytes of inflated pixels."""
    pixels = 0
    for width, height, row in passes:
        rows = min(length // row, height)
        pixels += rows * width
        length -= rows * row
        if rows < height:
            break
    return pixels
