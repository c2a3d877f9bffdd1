"""Validation, decoding and standardisation of photos.

Pillow, pi-heif and the standard library only, because the API imports this module.
"""

import io
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Final, NamedTuple

from PIL import Image

from models.domain.errors import InvalidPhoto, UnsupportedPhoto
from models.photo_formats import heif, jpeg, png, simple, webp
from models.photo_formats.boxes import read_boxed_photo
from models.photo_formats.colour import conversion_to_srgb
from models.photo_formats.opened import DECODER_ERRORS, Opened, Pixels, Size, refuse_large

# Encoders use about 224 pixels; this leaves room for larger inputs and for displaying results.
LONG_SIDE: Final = 512
JPEG_QUALITY: Final = 90
SUBSAMPLING: Final = "4:2:0"

STANDARD_FORM: Final = f"2/{LONG_SIDE}/{JPEG_QUALITY}/{SUBSAMPLING}"
"""Identifies the standard form, for caches of photo outcomes.

Raise its first number when `standardise` gives other bytes or refuses other files.
"""

ACCEPTED_FORMATS: Final = "JPEG, PNG, WebP, HEIC, AVIF, GIF or BMP"

LARGE: Final = 16_000_000
"""From so many pixels on, photos of formats that are decoded in full are decoded one at a time in a
process, so that its memory is that of one."""
FILE_COPIES: Final = 4
"""How often a file is in memory while it is decoded, at most."""
COARSE_BYTES: Final = 4
"""Of a decoded pixel of a photo that is decoded at an eighth of its size."""
_one_large_photo = Lock()

# A reducing gap of three makes the result indistinguishable from full resampling.
_REDUCING_GAP: Final = 3.0
_ROWS_AT_ONCE: Final = 256

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class StandardPhoto:
    """A photo as it is stored, embedded and served: a small upright JPEG without metadata.

    `sha256` is the hex digest of `data`; `width` and `height` are in pixels. `incomplete` says
    that up to a twentieth of the photo's pixels was not in the file.
    """

    data: bytes
    sha256: str
    width: int
    height: int
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """What a photo takes to decode, as its header says.

    `pixels` are those that are decoded in full, `memory_bytes` an upper bound.
    """

    pixels: int
    memory_bytes: int


Admit = Callable[[Cost], AbstractContextManager[object]]
"""Within what a photo is decoded; it may wait, or raise to refuse it."""


class _Format(NamedTuple):
    """How a photo is opened, its limit, what memory a pixel takes, and whether it is coarse."""

    open: Callable[[], Opened]
    max_pixels: int
    pixel_bytes: int
    coarsely: bool = False


def one_large_at_a_time(cost: Cost) -> AbstractContextManager[object]:
    """Large photos wait for each other."""
    return _one_large_photo if cost.pixels > LARGE else nullcontext()


def standardise(
    data: bytes, *, max_pixels: int | None = None, admit: Admit = one_large_at_a_time
) -> StandardPhoto:
    """Convert a photo to the standard form in which all photos are stored.

    The long side is at most `LONG_SIDE` pixels; smaller photos keep their size. Catalogue photos
    and query photos are both standardised, so that the same file gives the same bytes, hash and
    embedding. Raises as `decode` does.
    """
    photo, incomplete = _decode(data, max_pixels, LONG_SIDE, admit)
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=SUBSAMPLING)
    standard = buffer.getvalue()
    digest = sha256(standard).hexdigest()
    return StandardPhoto(standard, digest, photo.width, photo.height, incomplete)


def decode(data: bytes, *, max_pixels: int | None = None) -> Image.Image:
    """Decode a photo of one of the `ACCEPTED_FORMATS` into an upright sRGB image without metadata.

    The first frame of an animation, transparency on white, 16 bits scaled to 8. Raises
    `UnsupportedPhoto` if the bytes are of another kind, before any decoder sees them, and
    `InvalidPhoto` if they are empty, damaged, lack more than a twentieth of the pixels, or are
    more than `max_pixels` pixels; without that, more than their format's limit.
    """
    return _decode(data, max_pixels, None, one_large_at_a_time)[0]


def _decode(
    data: bytes, max_pixels: int | None, long_side: int | None, admit: Admit
) -> tuple[Image.Image, bool]:
    """Decode, and reduce the long side to this length if one is given; whether it is incomplete."""
    photo_format = _format_of(data)
    try:
        opened = photo_format.open()
        refuse_large(opened.size, max_pixels or photo_format.max_pixels)
        size = _fitted(opened.size, long_side)
        with admit(_cost(photo_format, opened, len(data), in_full=long_side is None)):
            return _loaded(opened, size)
    except Image.DecompressionBombError as error:
        raise InvalidPhoto("The photo has too many pixels.") from error
    except DECODER_ERRORS as error:
        raise InvalidPhoto("The photo is damaged: it can't be decoded.") from error


def _format_of(data: bytes) -> _Format:
    if not data:
        raise InvalidPhoto("The photo is empty.")
    if data.startswith(jpeg.SIGNATURE):
        return _Format(lambda: jpeg.open_jpeg(data), jpeg.MAX_PIXELS, 4, coarsely=True)
    if data.startswith(png.SIGNATURE):
        return _Format(lambda: png.open_png(data), png.MAX_PIXELS, 6)
    if webp.is_webp(data):
        return _Format(lambda: webp.open_webp(data), webp.MAX_PIXELS, 20)
    if boxed := read_boxed_photo(data):
        return _Format(lambda: heif.open_boxed(boxed), heif.MAX_PIXELS, 12)
    if data.startswith(simple.GIF_SIGNATURES):
        return _Format(lambda: simple.open_gif(data), simple.MAX_PIXELS, 4)
    if simple.is_bmp(data):
        return _Format(lambda: simple.open_bmp(data), simple.MAX_PIXELS, 4)
    raise UnsupportedPhoto(f"The file is not a {ACCEPTED_FORMATS} photo.")


def _cost(photo_format: _Format, opened: Opened, file_bytes: int, *, in_full: bool) -> Cost:
    pixels = opened.size[0] * opened.size[1]
    memory = FILE_COPIES * file_bytes + opened.held_bytes
    if photo_format.coarsely and not in_full:
        # Halved up to three times, but never below the size that is wanted.
        decoded = max(pixels // 64, min(pixels, 4 * LONG_SIDE * LONG_SIDE))
        return Cost(pixels if opened.held_bytes else 0, memory + COARSE_BYTES * decoded)
    return Cost(pixels, memory + photo_format.pixel_bytes * pixels)


def _fitted(size: Size, long_side: int | None) -> Size:
    """The size with the long side reduced to at most this length."""
    if long_side is None or max(size) <= long_side:
        return size
    width, height = (round(side * long_side / max(size)) or 1 for side in size)
    return width, height


def _loaded(opened: Opened, size: Size) -> tuple[Image.Image, bool]:
    pixels = opened.load(size)
    conversion = conversion_to_srgb(opened.profile, pixels.image.mode)
    photo = _reduced(pixels, size, keep_cmyk=conversion is not None)
    # Coloured and rotated last, when the photo is small.
    if conversion is not None:
        photo = conversion(photo)
    turn = _UPRIGHT.get(opened.orientation)
    photo = photo if turn is None else photo.transpose(turn)
    photo.info.clear()
    return photo, pixels.incomplete


def _reduced(pixels: Pixels, size: Size, *, keep_cmyk: bool) -> Image.Image:
    """The photo in this size, in RGB on white; in CMYK if it is and that is to be kept."""
    image, region = pixels.image, pixels.region
    box = region or (0, 0, *image.size)
    if region is None and image.size != size:
        # As `resize` does it, but in strips, so that there is no second large photo.
        across, down = (
            int(side / wanted / _REDUCING_GAP) or 1
            for side, wanted in zip(image.size, size, strict=True)
        )
        box = (0, 0, image.width / across, image.height / down)
        image = _flattened_in_strips(image, across, down, keep_cmyk=keep_cmyk)
    else:
        image = _flattened(image, keep_cmyk=keep_cmyk)
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=_REDUCING_GAP)


def _flattened_in_strips(
    image: Image.Image, across: int, down: int, *, keep_cmyk: bool
) -> Image.Image:
    """The photo flattened, and reduced by whole factors."""
    rows = down * max(min(_ROWS_AT_ONCE, LARGE // image.width) // down, 1)
    size = -(-image.width // across), -(-image.height // down)
    reduced = Image.new("CMYK" if keep_cmyk and image.mode == "CMYK" else "RGB", size)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        flat = _flattened(strip, keep_cmyk=keep_cmyk)
        reduced.paste(flat.reduce((across, down)), (0, top // down))
    return reduced


def _flattened(image: Image.Image, *, keep_cmyk: bool) -> Image.Image:
    """Convert an image of any mode to RGB, on white."""
    if image.mode == "P" and image.palette is None:
        raise SyntaxError("palette promised but missing")  # Pillow itself only asserts it
    if image.mode == "CMYK" and keep_cmyk:
        return image
    if image.mode.startswith("I"):
        image = _scaled_to_eight_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    flat = Image.new("RGB", layer.size, "white")
    flat.paste(layer, mask=layer)
    return flat


def _scaled_to_eight_bits(grey: Image.Image) -> Image.Image:
    # Pillow's own conversion clips: everything above 255 becomes white.
    scaled = grey.point(lambda value: value * (1 / 256))
    # A transparent grey level, where there is one, is still counted in 16 bits.
    scaled.info.pop("transparency", None)
    return scaled.convert("L")
