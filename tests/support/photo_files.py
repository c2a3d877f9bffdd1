"""Photo files of every format that is taken, whole and with odd things in them, written here."""

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

import pillow_heif
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from tests.support.pictures import picture

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
# sRGB's curve as ICC writes it, and the primaries of Display P3 under D50.
_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_WHITE: Final = (0.9642, 1.0, 0.8249)
_DISPLAY_P3: Final = {
    b"rXYZ": (0.51512, 0.2412, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.1571, 0.06657, 0.78407),
}


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The image as the bytes of a file; `kind` is a format of Pillow's, or HEIC."""
    file = io.BytesIO()
    if kind == "HEIC":
        pillow_heif.from_pillow(image).save(file, **{"quality": 90, **options})
    else:
        image.save(file, kind, **options)
    return file.getvalue()


def exif_of(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif.tobytes()


def xmp_of(orientation: int) -> bytes:
    return f'<x:xmpmeta><a tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2) + content


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """A JPEG with these segments behind its start marker."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def chunk(name: bytes, content: bytes, *, checksum: int | None = None) -> bytes:
    """A chunk of a PNG, with its own checksum unless another is given."""
    checksum = zlib.crc32(name + content) if checksum is None else checksum
    return len(content).to_bytes(4) + name + content + checksum.to_bytes(4)


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of a PNG's chunks."""
    position = len(PNG_SIGNATURE)
    while position < len(png):
        length = int.from_bytes(png[position : position + 4])
        yield png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
        position += 12 + length


def with_chunks(png: bytes, *added: bytes) -> bytes:
    """A PNG with these chunks behind its header."""
    at = len(PNG_SIGNATURE) + 12 + 13
    return png[:at] + b"".join(added) + png[at:]


def interlaced(image: Image.Image) -> bytes:
    """An RGB image as an interlaced PNG, which Pillow does not write."""
    passes = [
        *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
        *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
    ]
    rows = [
        b"\0"
        + b"".join(
            bytes(image.getpixel((x, y)))  # type: ignore[arg-type] # of an RGB image
            for x in range(left, image.width, across)
        )
        for left, top, across, down in passes
        for y in range(top, image.height, down)
    ]
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, 2, 0, 0, 1)
    body = chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return PNG_SIGNATURE + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def riff(*added: tuple[bytes, bytes]) -> bytes:
    """A WebP of these chunks."""
    body = b"".join(
        name + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)
        for name, content in added
    )
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body


def riff_chunks(webp: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 12
    while position < len(webp):
        length = int.from_bytes(webp[position + 4 : position + 8], "little")
        yield webp[position : position + 4], webp[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


@cache
def display_p3() -> bytes:
    """The ICC profile of Display P3."""
    return matrix_profile(_DISPLAY_P3)


def matrix_profile(primaries: dict[bytes, tuple[float, float, float]]) -> bytes:
    """The ICC profile of an RGB space with sRGB's curve."""
    curve = b"para" + bytes(4) + struct.pack(">HH5i", 3, 0, *(round(v * 65536) for v in _CURVE))
    tags = {
        **{name: _xyz(value) for name, value in {b"wtpt": _WHITE, **primaries}.items()},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = bytearray(128)
    struct.pack_into(">I", header, 0, start + len(body))
    header[8:12] = b"\x04\x00\x00\x00"
    header[12:24] = b"mntrRGB XYZ "
    header[36:40] = b"acsp"
    struct.pack_into(">3i", header, 68, *(round(value * 65536) for value in _WHITE))
    return bytes(header) + table + body


def _xyz(values: Iterable[float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def srgb() -> bytes:
    """The ICC profile of sRGB, as littlecms writes it."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def in_display_p3(image: Image.Image) -> Image.Image:
    """The same colours in the numbers of Display P3."""
    transform = ImageCms.ImageCmsTransform(
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        ImageCms.ImageCmsProfile(io.BytesIO(display_p3())),
        "RGB",
        "RGB",
    )
    return transform.apply(image)


@cache
def every_kind() -> dict[str, bytes]:
    """A small photo of each kind of each format, with metadata beside the pixels."""
    image = picture(5, (96, 64))
    alpha = image.copy()
    alpha.putalpha(image.convert("L"))
    other = picture(6, (96, 64))
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a" * 500, zip=True)
    text.add_itxt("XML:com.adobe.xmp", xmp_of(6).decode(), zip=True)
    beside = {"exif": exif_of(6), "icc_profile": display_p3()}
    frames = {"save_all": True, "append_images": [other]}
    return {
        "jpeg": encoded(image, "JPEG", **beside, comment=b"a comment", xmp=xmp_of(3)),
        "jpeg progressive": encoded(image, "JPEG", progressive=True),
        "jpeg grey": encoded(image.convert("L"), "JPEG"),
        "jpeg cmyk": encoded(image.convert("CMYK"), "JPEG"),
        "jpeg restarts": encoded(image, "JPEG", restart_marker_rows=1),
        "png": encoded(image, "PNG", **beside, pnginfo=text),
        "png alpha": encoded(alpha, "PNG"),
        "png palette": encoded(image.quantize(16), "PNG", transparency=3),
        "png 16 bits": encoded(image.convert("L").convert("I;16"), "PNG"),
        "png interlaced": interlaced(image),
        "webp": encoded(image, "WEBP", **beside, xmp=xmp_of(3)),
        "webp alpha": encoded(alpha, "WEBP"),
        "webp lossless": encoded(alpha, "WEBP", lossless=True),
        "webp animated": encoded(image, "WEBP", **frames),
        "heic": encoded(image, "HEIC", **beside),
        "heic alpha": encoded(alpha, "HEIC"),
        "avif": encoded(image, "AVIF", **beside),
        "avif alpha": encoded(alpha, "AVIF"),
        "avif animated": encoded(image, "AVIF", **frames),
        "gif": encoded(image, "GIF", comment=b"a comment"),
        "gif animated": encoded(image, "GIF", **frames),
        "bmp": encoded(image, "BMP"),
        "bmp palette": encoded(image.quantize(16), "BMP"),
    }
