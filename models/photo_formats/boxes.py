"""The boxes of HEIC and AVIF files (ISO 14496-12), as far as a decoder needs telling.

Items of types that make no photo are renamed, so that no decoder looks at them: metadata, which
may be broken, and codecs and derivations that photos do not have.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from models.photo_formats.opened import bounded

_MOST_BRANDS: Final = 64
_HEVC_BRANDS: Final = {
    *(b"heic", b"heix", b"heim", b"heis"),
    *(b"hevc", b"hevx", b"hevm", b"hevs"),
}
_AV1_BRANDS: Final = {b"avif", b"avis"}
_ANY_CODEC: Final = {b"mif1", b"msf1"}

_HEVC, _AV1 = b"hvc1", b"av01"
_PHOTO_ITEMS: Final = {_HEVC, _AV1, b"grid", b"iden"}
_PASSED_OVER: Final = b"skip"

# Of a photo with gain map, depth and thumbnails in tiles; one of 200 megapixels has some 800.
_MOST_ITEMS: Final = 4_000


@dataclass(frozen=True, slots=True)
class BoxedPhoto:
    """A file for the decoder of its codec; `missing` bytes at its end were cut off."""

    data: bytes
    is_hevc: bool
    missing: int


class _Box(NamedTuple):
    name: bytes
    start: int
    content: int
    end: int


def read_boxed_photo(data: bytes) -> BoxedPhoto | None:
    """The photo in these boxes, None if they are not of a HEIC or AVIF."""
    if data[4:8] != b"ftyp":
        return None
    top = list(bounded(_boxes(data, 0, len(data))))
    brands = _brands(data, top[0]) if top else set()
    if not brands & (_HEVC_BRANDS | _AV1_BRANDS | _ANY_CODEC):
        return None
    changed = bytearray(data)
    kinds: set[bytes] = set()
    for box in top:
        if box.name == b"meta":
            for at, kind in _items(data, box):
                kinds.add(kind)
                if kind not in _PHOTO_ITEMS:
                    changed[at : at + 4] = _PASSED_OVER
    if not kinds & {_HEVC, _AV1} and not brands & (_HEVC_BRANDS | _AV1_BRANDS):
        return None
    is_hevc = _HEVC in kinds or (_AV1 not in kinds and bool(brands & _HEVC_BRANDS))
    return BoxedPhoto(bytes(changed), is_hevc, max(top[-1].end - len(data), 0))


def _boxes(data: bytes, position: int, end: int) -> Iterator[_Box]:
    while position + 8 <= end:
        size = int.from_bytes(data[position : position + 4])
        content = position + 8
        if size == 1:
            size, content = int.from_bytes(data[content : content + 8]), content + 8
        elif size == 0:
            size = end - position
        if size < content - position:
            return
        yield _Box(data[position + 4 : position + 8], position, content, position + size)
        position += size


def _brands(data: bytes, first: _Box) -> set[bytes]:
    stop = min(first.end, first.content + 4 * _MOST_BRANDS)
    return {data[at : at + 4] for at in range(first.content, stop, 4) if at != first.content + 4}


def _items(data: bytes, meta: _Box) -> Iterator[tuple[int, bytes]]:
    """Where the type of each item is, and the type."""
    for listing in bounded(_boxes(data, meta.content + 4, min(meta.end, len(data)))):
        if listing.name != b"iinf":
            continue
        count = 2 if data[listing.content] == 0 else 4
        entries = _boxes(data, listing.content + 4 + count, min(listing.end, len(data)))
        for number, entry in enumerate(entries):
            if number >= _MOST_ITEMS:
                return
            # Version and flags, the item's number, its protection.
            at = entry.content + 4 + (2 if data[entry.content : entry.content + 1] < b"\3" else 4)
            yield at + 2, data[at + 2 : at + 6]
