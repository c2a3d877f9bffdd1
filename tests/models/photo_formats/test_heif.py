"""HEIC and AVIF: what phones write."""

import io
import random
from functools import cache

import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from models.domain.errors import InvalidPhoto, UnsupportedPhoto
from models.photo_decoding import decode, standardise
from models.photo_formats.heif import MAX_PIXELS
from tests.support.photo_files import display_p3, encoded, exif_of, in_display_p3
from tests.support.pictures import picture

PICTURE = picture(4, (240, 160))
FORMATS = ["HEIC", "AVIF"]


def difference(one: Image.Image, other: Image.Image) -> float:
    assert one.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


@pytest.mark.parametrize("kind", FORMATS)
def test_they_are_taken_by_content(kind: str) -> None:
    data = encoded(PICTURE, kind)
    assert difference(decode(data), PICTURE) < 4
    assert standardise(data) == standardise(data + bytes(7))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_brand_that_names_no_codec_is_told_by_the_items(kind: str) -> None:
    data = encoded(PICTURE, kind)
    plain = data[:8] + b"mif1" + data[12:]
    assert difference(decode(plain), decode(data)) == 0


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_they_are_turned_once(kind: str, orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    data = encoded(PICTURE.transpose(undo[orientation]), kind, exif=exif_of(orientation))
    assert difference(decode(data), PICTURE) < 4


@pytest.mark.parametrize("kind", FORMATS)
def test_transparency_is_laid_on_white(kind: str) -> None:
    layer = PICTURE.convert("RGBA")
    layer.putalpha(0)
    assert difference(decode(encoded(layer, kind)), Image.new("RGB", layer.size, "white")) < 3


def test_ten_bits_are_scaled_to_eight() -> None:
    grey = Image.new("RGB", (64, 64), (200, 100, 50))
    deep = pillow_heif.from_bytes(
        "RGB;16",
        grey.size,
        b"".join((value * 257).to_bytes(2, "little") for value in grey.tobytes()),
    )
    file = io.BytesIO()
    deep.save(file, quality=95)
    assert pillow_heif.open_heif(file).info["bit_depth"] == 10
    assert difference(decode(file.getvalue()), grey) < 4


@pytest.mark.parametrize("kind", FORMATS)
def test_of_several_pictures_the_first_or_primary_is_taken(kind: str) -> None:
    other = picture(5, PICTURE.size)
    if kind == "AVIF":
        data = encoded(PICTURE, kind, save_all=True, append_images=[other])
    else:
        both = pillow_heif.from_pillow(other)
        both.add_from_pillow(PICTURE)
        file = io.BytesIO()
        both.save(file, quality=90, primary_index=1)
        data = file.getvalue()
    assert difference(decode(data), PICTURE) < 4


@pytest.mark.parametrize("kind", FORMATS)
def test_a_colour_profile_is_applied(kind: str) -> None:
    data = encoded(in_display_p3(PICTURE), kind, icc_profile=display_p3())
    assert difference(decode(data), PICTURE) < 5
    assert difference(in_display_p3(PICTURE), PICTURE) > 8


@cache
def with_exif(kind: str) -> bytes:
    """A photo with EXIF data that has no tags, and room behind it."""
    return encoded(PICTURE, kind, exif=b"Exif\0\0MM\0*\0\0\0\x08" + bytes(6 + 200))


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(raw=st.binary(max_size=200))
def test_broken_exif_data_changes_nothing(kind: str, raw: bytes) -> None:
    whole = with_exif(kind)
    at = whole.index(b"MM\0*")
    broken = whole[: at + 4] + raw + whole[at + 4 + len(raw) :]
    assert standardise(broken) == standardise(whole)


@pytest.mark.parametrize("kind", FORMATS)
def test_what_lacks_a_little_is_taken_and_flagged(kind: str) -> None:
    grain = Image.frombytes("RGB", PICTURE.size, random.Random(0).randbytes(240 * 160 * 3))
    whole = encoded(Image.blend(PICTURE, grain, 0.3), kind)
    photo = standardise(whole[: int(len(whole) * 0.98)])
    assert photo.incomplete
    assert not standardise(whole).incomplete


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_what_lacks_much_is_refused(kind: str, share: float) -> None:
    whole = encoded(PICTURE, kind)
    with pytest.raises(InvalidPhoto, match="damaged"):
        standardise(whole[: int(len(whole) * share)])


@pytest.mark.parametrize("kind", FORMATS)
def test_too_many_pixels_are_refused_by_the_header(kind: str) -> None:
    whole = encoded(PICTURE, kind)
    size = PICTURE.width.to_bytes(4) + PICTURE.height.to_bytes(4)
    claimed = (16_000).to_bytes(4) + (16_000).to_bytes(4)
    at = whole.index(b"ispe") + 8
    large = whole[:at] + whole[at:].replace(size, claimed)
    with pytest.raises(InvalidPhoto):
        standardise(large)
    assert MAX_PIXELS < 16_000 * 16_000


def test_items_of_other_codecs_reach_no_decoder() -> None:
    whole = encoded(PICTURE, "HEIC")
    for codec in (b"unci", b"jpeg", b"j2k1", b"vvc1", b"avc1", b"iovl"):
        with pytest.raises((InvalidPhoto, UnsupportedPhoto)):
            standardise(whole.replace(b"hvc1", codec, 1))
