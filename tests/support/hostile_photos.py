"""Photos that are made to cost more than they are worth, drawn here."""

import io
import struct
from functools import cache

from PIL import Image

from tests.support.pictures import picture


@cache
def tiny_webp(width: int = 8166, height: int = 6124) -> bytes:
    """A lossless WebP of one colour: 50 million pixels in 28 bytes."""
    # The signature, the size, no transform, no cache, one group of codes; each of the five codes
    # is a single symbol that takes no bits.
    bits = [(0x2F, 8), (width - 1, 14), (height - 1, 14), (0, 1), (0, 3), (0, 1), (0, 1), (0, 1)]
    bits += [(1, 1), (0, 1), (0, 1), (0, 1)] * 5
    number = position = 0
    for value, length in bits:
        number |= value << position
        position += length
    content = number.to_bytes(-(-position // 8), "little")
    content += bytes(len(content) % 2)
    chunk = b"VP8L" + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


@cache
def webp_of_noise(width: int = 8166, height: int = 6124) -> bytes:
    """A lossy WebP of so many pixels that looks like a photo: a megabyte or so."""
    image = picture(3, (width // 8, height // 8)).resize((width, height))
    return _written(image, "WEBP", quality=40, method=0)


@cache
def jpeg_of_scans(scans: int, size: tuple[int, int] = (4000, 3000)) -> bytes:
    """A progressive JPEG with its last scan repeated until there are so many."""
    photo = _written(picture(5, size), "JPEG", progressive=True)
    last = photo[photo.rindex(b"\xff\xda") : -2]
    return photo[:-2] + last * (scans - photo.count(b"\xff\xda")) + photo[-2:]


def _written(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
