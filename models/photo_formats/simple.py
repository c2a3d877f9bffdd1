"""GIF and BMP: small decoders of Pillow itself. A GIF is its first frame."""

import io
from functools import partial
from itertools import repeat
from typing import Final

from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile

from models.domain.errors import InvalidPhoto
from models.photo_formats.opened import ENOUGH_PIXELS, Opened, Pixels, Size, bounded, refuse_missing

MAX_PIXELS: Final = 70_000_000
"""One to 4 bytes of memory a pixel."""

GIF_SIGNATURES: Final = (b"GIF87a", b"GIF89a")
_CANVAS_END: Final = 13
_EXTENSION, _FRAME, _TRAILER = 0x21, 0x2C, 0x3B
_CONTROL: Final = 0xF9
_FRAME_HEADER: Final = 10
_HAS_PALETTE, _INTERLACED = 0x80, 0x40
# First row and step of the passes of an interlaced frame.
_PASSES: Final = [(0, 8), (4, 8), (2, 4), (1, 2)]
_BLOCK: Final = 255
# A code has twelve bits at most, and stands for a pixel at least.
_MOST_BYTES_A_PIXEL: Final = 1.5

# Lengths of the header; the first is that of OS/2, with shorter numbers.
_OLD_HEADER: Final = 12
_BMP_HEADERS: Final = frozenset({_OLD_HEADER, 40, 52, 56, 64, 108, 124})
_OFFSET_AT, _HEADER_AT = 10, 14
_RUN_LENGTHS: Final = frozenset({1, 2})
# Pillow decodes run lengths in Python, some millions of bytes a second.
_MOST_RUN_BYTES: Final = 2_000_000


def open_gif(data: bytes) -> Opened:
    """Open the first frame of a GIF; comments and other extensions are not read."""
    canvas = data[:_CANVAS_END]
    if len(canvas) < _CANVAS_END:
        raise _cut()
    position = _CANVAS_END + _palette_bytes(canvas[10])
    kept = [data[:position]]
    for _ in bounded(repeat(None)):
        if data[position : position + 1] != bytes([_EXTENSION]):
            break
        end = _end_of_blocks(data, position + 2)
        if data[position + 1 : position + 2] == bytes([_CONTROL]):
            kept[1:] = [data[position:end]]
        position = end
    header = data[position : position + _FRAME_HEADER]
    if len(header) < _FRAME_HEADER or header[0] != _FRAME:
        raise InvalidPhoto("The photo is damaged: it has no pixels.")
    start = position + _FRAME_HEADER + _palette_bytes(header[9]) + 1
    end = _end_of_blocks(data, start)
    left, top, width, height = (_number(header, at, 2) for at in (1, 3, 5, 7))
    size = max(_number(canvas, 6, 2), left + width), max(_number(canvas, 8, 2), top + height)
    if end <= len(data):
        file = b"".join([*kept, data[position:end], b"\0", bytes([_TRAILER])])
        return Opened(size, partial(_load_gif, file))
    if (width, height) != size:
        raise _cut()
    more = int(width * height * (1 - ENOUGH_PIXELS) * _MOST_BYTES_A_PIXEL) + _BLOCK
    pixels = _in_blocks(_out_of_blocks(data[start:]) + bytes(more))
    file = b"".join([*kept, data[position:start], pixels, bytes([_TRAILER])])
    passes = _PASSES if header[9] & _INTERLACED else [(0, 1)]
    rows = [row for first, step in passes for row in range(first, height, step)]
    return Opened(size, partial(_load_cut_gif, file, rows))


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & _HAS_PALETTE else 0


def _out_of_blocks(data: bytes) -> bytes:
    """The content of blocks, the last of which may be cut off."""
    parts, position = [], 0
    while position < len(data):
        parts.append(data[position + 1 : position + 1 + data[position]])
        position += 1 + data[position]
    return b"".join(parts)


def _in_blocks(content: bytes) -> bytes:
    parts = [content[at : at + _BLOCK] for at in range(0, len(content), _BLOCK)]
    return b"".join(bytes([len(part)]) + part for part in [*parts, b""])


def _end_of_blocks(data: bytes, position: int) -> int:
    """Behind the blocks, each with its length before it, and the empty one that ends them.

    Behind the data if they are cut off.
    """
    while position < len(data):
        length = data[position]
        position += 1 + length
        if not length:
            return position
    # Between two blocks only the empty one is missing, and no pixel.
    return position + (position > len(data))


def _load_gif(file: bytes, size: Size) -> Pixels:
    del size
    image = GifImageFile(io.BytesIO(file))
    image.load()
    return Pixels(image)


def _load_cut_gif(file: bytes, rows: list[int], size: Size) -> Pixels:
    """A GIF that goes on in zeros, which are pixels of the first colour, each by itself.

    What is there is known to reach to the last pixel of another colour, in the order of these rows.
    """
    pixels = _load_gif(file, size)
    stored = pixels.image.tobytes() if pixels.image.mode in {"P", "L"} else b""
    width = pixels.image.width
    levels = b"".join(stored[row * width : (row + 1) * width] for row in rows)
    share = len(levels.rstrip(b"\0")) / max(len(levels), 1)
    refuse_missing(share)
    return Pixels(pixels.image, incomplete=True)


def is_bmp(data: bytes) -> bool:
    """Whether the bytes begin as a BMP does; two letters alone could begin a text."""
    return data.startswith(b"BM") and _number(data, _HEADER_AT, 4) in _BMP_HEADERS


def open_bmp(data: bytes) -> Opened:
    """Open a BMP by its header."""
    image = BmpImageFile(io.BytesIO(data))
    width, height = image.size
    if _number(data, _HEADER_AT, 4) > _OLD_HEADER and _number(data, 30, 4) in _RUN_LENGTHS:
        if len(data) > _MOST_RUN_BYTES:
            raise InvalidPhoto(
                f"The photo is a BMP in run lengths of more than {_MOST_RUN_BYTES:,} bytes."
            )
        return Opened(image.size, partial(_load_bmp, data, 1.0))
    depth = _number(data, 24 if _number(data, _HEADER_AT, 4) == _OLD_HEADER else 28, 2)
    expected = (width * depth + 31) // 32 * 4 * height
    there = max(len(data) - _number(data, _OFFSET_AT, 4), 0)
    return Opened(image.size, partial(_load_bmp, data, there / max(expected, 1)))


def _load_bmp(data: bytes, share: float, size: Size) -> Pixels:
    del size
    if share < 1:
        refuse_missing(share)
        data += bytes(int(len(data) * (1 / share - 1)) + 4)
    image = BmpImageFile(io.BytesIO(data))
    image.load()
    return Pixels(image, incomplete=share < 1)


def _number(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "little")


def _cut() -> InvalidPhoto:
    return InvalidPhoto("The photo is damaged: it is cut off in its header.")
