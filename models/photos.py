"""Validation, decoding and standardisation of photos.

Pillow and the standard library only, because the API imports this module.
"""

import io
import re
import struct
import zlib
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from models.domain.errors import InvalidPhoto, UnsupportedPhoto

# Under Pillow's own limit of 89 million, so that this one applies first.
MAX_PIXELS: Final = 50_000_000
# Encoders use about 224 pixels; this leaves room for larger inputs and for displaying results.
LONG_SIDE: Final = 512
JPEG_QUALITY: Final = 90
SUBSAMPLING: Final = "4:2:0"

STANDARD_FORM: Final = f"1/{LONG_SIDE}/{JPEG_QUALITY}/{SUBSAMPLING}"
"""Identifies the standard form, for caches of photo outcomes.

Raise its first number when `standardise` gives other bytes or refuses other files.
"""

# A JPEG is decoded at no less than this share of the size it is wanted in. 12 megapixels are 4,000
# to 4,032 pixels wide, an eighth of which just falls short of `LONG_SIDE`: enlarging that a little
# takes a quarter less time than reducing a fourth, and leaves the cosine of embeddings above 0.99.
ENOUGH_OF_A_SIDE: Final = 15 / 16

# Photos have about ten scans at most. Each scan costs a pass over all pixels however few bytes it
# has, so without a limit a file of 400 kB keeps the decoder busy for half a minute.
MAX_JPEG_SCANS: Final = 100

# Exceptions of Pillow's parsers on damaged files, found by fuzzing and in their source. `Warning`
# is for runs in which warnings are errors.
_PILLOW_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    struct.error,
    zlib.error,
    Warning,
)

# A marker with a length behind it, or the end of the image: not stuffed bytes, restarts or fill.
_JPEG_MARKER: Final = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])", re.DOTALL)
_JPEG_END: Final = b"\xd9"
_JPEG_SCAN: Final = b"\xda"

# Left, upper, right and lower edge, in pixels.
Box = tuple[float, float, float, float]

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

    `sha256` is the hex digest of `data`; `width` and `height` are in pixels.
    """

    data: bytes
    sha256: str
    width: int
    height: int


def standardise(data: bytes, *, max_pixels: int = MAX_PIXELS) -> StandardPhoto:
    """Convert a photo to the standard form in which all photos are stored.

    The long side is at most `LONG_SIDE` pixels; smaller photos keep their size. Catalogue photos
    and query photos are both standardised, so that the same file gives the same bytes, hash and
    embedding. Raises as `decode` does.
    """
    photo = _decode(data, max_pixels, LONG_SIDE)
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=SUBSAMPLING)
    standard = buffer.getvalue()
    return StandardPhoto(standard, sha256(standard).hexdigest(), photo.width, photo.height)


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a JPEG, PNG or WebP into an upright RGB image without metadata.

    The first frame of an animation, transparency on white, 16 bits scaled to 8, colour profiles
    ignored. Raises `UnsupportedPhoto` if the bytes are of another kind, before any decoder sees
    them, and `InvalidPhoto` if they are empty, damaged or more than `max_pixels` pixels.
    """
    return _decode(data, max_pixels, long_side=None)


def _decode(data: bytes, max_pixels: int, long_side: int | None) -> Image.Image:
    """Decode, and reduce the long side to this length if one is given."""
    parser = _parser_for(data)
    if parser is JpegImageFile:
        _refuse_many_scans(data)
    try:
        # The parser itself, not `Image.open`: that would try others, and warns of large photos
        # before the limit here can refuse them (warnings are global, so can't be caught safely).
        image = parser(io.BytesIO(data))
        _refuse_large(image, max_pixels)
        size = _fitted(image.size, long_side)
        region = _decode_coarsely(image, size)
        image.load()
        # Rotated last, when the photo is small.
        photo = _turn_upright(_resized(_flatten(image), size, region), _orientation(image))
    except Image.DecompressionBombError as error:
        raise InvalidPhoto(f"The photo has more than {max_pixels:,} pixels.") from error
    except _PILLOW_ERRORS as error:
        raise InvalidPhoto("The photo is damaged: it can't be decoded.") from error
    photo.info.clear()
    return photo


def _parser_for(data: bytes) -> type[ImageFile]:
    if not data:
        raise InvalidPhoto("The photo is empty.")
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImageFile
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile
    raise UnsupportedPhoto("The file is not a JPEG, PNG or WebP photo.")


def _refuse_many_scans(jpeg: bytes) -> None:
    scans = 0
    position = len(b"\xff\xd8")
    while marker := _JPEG_MARKER.search(jpeg, position):
        if marker[1] == _JPEG_END:
            return
        scans += marker[1] == _JPEG_SCAN
        if scans > MAX_JPEG_SCANS:
            raise InvalidPhoto(f"The photo has more than {MAX_JPEG_SCANS} JPEG scans.")
        length = int.from_bytes(jpeg[marker.end() : marker.end() + 2])
        position = marker.end() + length


def _refuse_large(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise InvalidPhoto(
            f"The photo has {image.width} x {image.height} pixels; "
            f"at most {max_pixels:,} pixels are allowed."
        )


def _fitted(size: tuple[int, int], long_side: int | None) -> tuple[int, int]:
    """The size with the long side reduced to at most this length."""
    if long_side is None or max(size) <= long_side:
        return size
    width, height = (round(side * long_side / max(size)) or 1 for side in size)
    return width, height


def _decode_coarsely(image: ImageFile, size: tuple[int, int]) -> Box | None:
    """Let a JPEG's decoder halve the photo up to three times towards a smaller size.

    Returns the box of the photo in the decoded pixels: if its sides can't be halved evenly, the
    last column and row are partly outside.
    """
    if not isinstance(image, JpegImageFile) or image.size == size:
        return None
    width, height = (int(side * ENOUGH_OF_A_SIDE) or 1 for side in size)
    drafted = image.draft(None, (width, height))
    return drafted and drafted[1]


def _resized(photo: Image.Image, size: tuple[int, int], region: Box | None) -> Image.Image:
    if photo.size == size:
        return photo
    # With a reducing gap of three the result is indistinguishable from full resampling.
    return photo.resize(size, Image.Resampling.LANCZOS, box=region, reducing_gap=3.0)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) if it is unknown."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _PILLOW_ERRORS:  # damaged EXIF data does not spoil the pixels
        return 1


def _turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    # Not `ImageOps.exif_transpose`: it also writes the EXIF data back, and fails where tags other
    # than the orientation are odd.
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _flatten(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to RGB, on white."""
    if image.mode == "P" and image.palette is None:
        raise SyntaxError("palette promised but missing")  # Pillow itself only asserts it
    if image.mode.startswith("I"):
        image = _scale_to_eight_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    flat = Image.new("RGB", layer.size, "white")
    flat.paste(layer, mask=layer)
    return flat


def _scale_to_eight_bits(grey: Image.Image) -> Image.Image:
    # Pillow's own conversion clips: everything above 255 becomes white.
    scaled = grey.point(lambda value: value * (1 / 256))
    # A transparent grey level, where there is one, is still counted in 16 bits.
    scaled.info.pop("transparency", None)
    return scaled.convert("L")
