"""WebP: the first frame and its canvas are handed to the decoder, other chunks are not."""

import io
from collections.abc import Iterator
from functools import partial
from typing import Final, NamedTuple

from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile

from models.domain.errors import InvalidPhoto
from models.photo_formats.metadata import MAX_PROFILE, orientation_of
from models.photo_formats.opened import (
    ENOUGH_PIXELS,
    Opened,
    Pixels,
    Size,
    bounded,
    noise,
    refuse_missing,
    share_from_top,
)

MAX_PIXELS: Final = 70_000_000
"""Phones of 64 million. The decoder of animations, which is the one that Pillow has, holds a photo
several times: about 20 bytes a pixel."""

_CONTAINER: Final = 12
_ALPHA, _ANIMATED = 0x10, 0x02
_CANVAS: Final = 10
# Rows that are decoded together, where pixels are not stored one by one.
_BLOCK: Final = 16
# Noise takes more bytes to code the same pixels.
_SPARE: Final = 4096
_LOOP_ONCE: Final = b"\xff\xff\xff\xff\x01\x00"


class _Chunk(NamedTuple):
    """A chunk; of a cut one what is there, `missing` bytes short."""

    name: bytes
    content: bytes
    missing: int

    def written(self, rest: bytes = b"") -> bytes:
        content = self.content + rest
        return self.name + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)


def is_webp(data: bytes) -> bool:
    """Whether the bytes begin as a WebP does."""
    return data.startswith(b"RIFF") and data[8:_CONTAINER] == b"WEBP"


def open_webp(data: bytes) -> Opened:
    """Open a WebP by its header; an animated one is its first frame. Raises InvalidPhoto."""
    chunks: dict[bytes, _Chunk] = {}
    for chunk in bounded(_chunks(data)):
        chunks.setdefault(chunk.name, chunk)
    canvas = chunks.get(b"VP8X")
    animated = canvas is not None and bool(canvas.content[:1] and canvas.content[0] & _ANIMATED)
    frame = chunks.get(b"ANMF") if animated else chunks.get(b"VP8 ", chunks.get(b"VP8L"))
    if frame is None:
        raise InvalidPhoto("The photo is damaged: it has no pixels.")
    start = []
    if canvas is not None and len(canvas.content) >= _CANVAS:
        flags = canvas.content[0] & (_ALPHA | _ANIMATED)
        start = [_Chunk(b"VP8X", bytes([flags]) + canvas.content[1:_CANVAS], 0).written()]
        if animated:
            start.append(chunks.get(b"ANIM", _Chunk(b"ANIM", _LOOP_ONCE, 0)).written())
        elif b"ALPH" in chunks:
            start.append(chunks[b"ALPH"].written())
        size = _size_of_canvas(canvas.content)
    else:
        size = _size_of_frame(frame)
    profile = chunks[b"ICCP"].content if b"ICCP" in chunks else None
    return Opened(
        size,
        partial(_load, b"".join(start), frame),
        orientation_of(_contents(chunks, b"EXIF"), _contents(chunks, b"XMP ")),
        profile if profile and len(profile) <= MAX_PROFILE else None,
    )


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """The chunks, whatever length the container states: it may be wrong, or that of a stream."""
    position = _CONTAINER
    while position + 8 <= len(data):
        name = data[position : position + 4]
        if b"\0" in name:  # what fills a file up
            return
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        content = data[position + 8 : position + 8 + length]
        yield _Chunk(name, content, length - len(content))
        position += 8 + length + length % 2


def _contents(chunks: dict[bytes, _Chunk], name: bytes) -> list[bytes]:
    return [chunks[name].content] if name in chunks else []


def _size_of_canvas(content: bytes) -> Size:
    return int.from_bytes(content[4:7], "little") + 1, int.from_bytes(content[7:10], "little") + 1


def _size_of_frame(frame: _Chunk) -> Size:
    content = frame.content
    if frame.name == b"VP8L":
        bits = int.from_bytes(content[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = content[6:8], content[8:10]
    return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF


def _load(start: bytes, frame: _Chunk, size: Size) -> Pixels:
    del size
    if not frame.missing:
        return Pixels(_decoded(start + frame.written()))
    if frame.name == b"ANMF":
        raise InvalidPhoto("The photo is damaged: its first frame is cut off.")
    stated = len(frame.content) + frame.missing
    if frame.missing > stated * 2 * (1 - ENOUGH_PIXELS):
        # Not worth decoding: bytes are spread over the rows, though not quite evenly.
        refuse_missing(len(frame.content) / stated)
    more = 3 * frame.missing + _SPARE
    image = _decoded(start + frame.written(bytes(more)))
    other = _decoded(start + frame.written(noise(more)))
    share = share_from_top(image, other, _BLOCK)
    refuse_missing(share)
    return Pixels(image, incomplete=share < 1)


def _decoded(chunks: bytes) -> Image.Image:
    container = b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WEBP"
    image = WebPImageFile(io.BytesIO(container + chunks))
    image.load()
    return image
