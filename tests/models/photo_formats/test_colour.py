"""Colour profiles."""

import io
from itertools import chain, product
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageStat

from models.photo_decoding import decode, standardise
from models.photo_formats.colour import conversion_to_srgb
from models.photo_formats.metadata import MAX_PROFILE
from tests.support.photo_files import display_p3, encoded, in_display_p3, matrix_profile, srgb
from tests.support.pictures import picture

PICTURE = picture(4, (240, 160))
NINE: Final = list(product(range(3), repeat=2))


def difference(one: Image.Image, other: Image.Image) -> float:
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_display_p3_is_shown_as_it_is_meant(kind: str) -> None:
    options = {"quality": 98, "icc_profile": display_p3()}
    photo = decode(encoded(in_display_p3(PICTURE), kind, **options))
    assert difference(photo, PICTURE) < 4
    assert difference(in_display_p3(PICTURE), PICTURE) > 8


def test_large_photos_are_converted_when_they_are_small() -> None:
    large = picture(4, (1600, 1200))
    plain = encoded(large, "JPEG", quality=95)
    wide = encoded(in_display_p3(large), "JPEG", quality=95, icc_profile=display_p3())
    assert difference(decode(standardise(plain).data), decode(standardise(wide).data)) < 4


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_a_profile_of_srgb_changes_no_byte(mode: str) -> None:
    image = PICTURE.quantize(32) if mode == "P" else PICTURE.convert(mode)
    assert standardise(encoded(image, "PNG", icc_profile=srgb())) == standardise(
        encoded(image, "PNG")
    )


def test_a_profile_that_is_nearly_srgb_changes_no_byte() -> None:
    rounded = matrix_profile(
        {
            b"rXYZ": (0.436, 0.2225, 0.0139),
            b"gXYZ": (0.385, 0.7169, 0.0971),
            b"bXYZ": (0.143, 0.0606, 0.7141),
        }
    )
    assert standardise(encoded(PICTURE, "PNG", icc_profile=rounded)) == standardise(
        encoded(PICTURE, "PNG")
    )


def grey_profile() -> bytes:
    """A grey profile with a gamma of 1.0: half of the light is 188 of 255 in sRGB."""
    profile = bytearray(display_p3())
    profile[16:20] = b"GRAY"
    profile = bytearray(bytes(profile).replace(b"rTRC", b"kTRC", 1))
    at = profile.index(b"para")
    profile[at : at + 16] = b"curv" + bytes(8) + bytes(4)
    return bytes(profile)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_grey_profile_is_applied_to_a_grey_photo(mode: str) -> None:
    photo = Image.new(mode, (8, 8), 128 if mode == "L" else (128, 255))
    level = decode(encoded(photo, "PNG", icc_profile=grey_profile())).getpixel((0, 0))
    assert isinstance(level, tuple)
    assert level[0] == level[1] == level[2] == pytest.approx(188, abs=2)


def test_a_profile_of_another_kind_of_photo_is_ignored() -> None:
    plain = standardise(encoded(PICTURE, "PNG"))
    assert standardise(encoded(PICTURE, "PNG", icc_profile=grey_profile())) == plain
    cmyk = PICTURE.convert("CMYK")
    assert standardise(encoded(cmyk, "JPEG", icc_profile=display_p3())) == standardise(
        encoded(cmyk, "JPEG")
    )


def cmyk_profile() -> bytes:
    """A CMYK profile for which cyan ink is red, black is black, and the others are not seen."""
    # L*, a* and b*, each in 8 bits.
    white, red, black = (255, 128, 128), (138, 208, 195), (0, 128, 128)
    papers = product((0, 1), repeat=4)
    inks = [black if key else red if cyan else white for cyan, _, _, key in papers]
    straight = bytes(range(256))
    matrix = b"".join((65536 * (row == column)).to_bytes(4) for row, column in NINE)
    table = b"mft1" + bytes(4) + b"\4\3\2\0" + matrix + straight * 4
    table += bytes(chain.from_iterable(inks)) + straight * 3
    start = 128 + 4 + 12
    header = bytearray(128)
    header[0:4] = (start + len(table)).to_bytes(4)
    header[8:12] = b"\x02\x40\0\0"
    header[12:24] = b"prtrCMYKLab "
    header[36:40] = b"acsp"
    header[68:80] = bytes.fromhex("0000f6d6000100000000d32d")
    entry = b"A2B0" + start.to_bytes(4) + len(table).to_bytes(4)
    return bytes(header) + (1).to_bytes(4) + entry + table


@pytest.mark.parametrize("side", [8, 1600])
def test_a_profile_of_inks_is_applied(side: int) -> None:
    cyan = Image.new("CMYK", (side, side), (255, 0, 0, 0))
    plain = decode(encoded(cyan, "JPEG", quality=95)).getpixel((4, 4))
    data = encoded(cyan, "JPEG", quality=95, icc_profile=cmyk_profile())
    meant = decode(standardise(data).data).getpixel((4, 4))
    assert plain == pytest.approx((0, 255, 255), abs=10)
    assert meant == pytest.approx((255, 0, 0), abs=15)


def test_transparency_is_laid_on_white_before_colours_are_converted() -> None:
    layer = Image.new("RGBA", (8, 8), (10, 20, 30, 0))
    photo = decode(encoded(layer, "PNG", icc_profile=display_p3()))
    assert photo.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_profile_over_the_limit_is_ignored(kind: str) -> None:
    large = display_p3() + bytes(MAX_PROFILE)
    assert standardise(encoded(PICTURE, kind, icc_profile=large)) == standardise(
        encoded(PICTURE, kind)
    )


def test_a_space_with_its_colours_swapped_is_applied() -> None:
    swapped = matrix_profile(
        {
            b"rXYZ": (0.1431, 0.0606, 0.7141),
            b"gXYZ": (0.3851, 0.7169, 0.0971),
            b"bXYZ": (0.4361, 0.2225, 0.0139),
        }
    )
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    assert decode(encoded(red, "PNG", icc_profile=swapped)).getpixel((0, 0)) == pytest.approx(
        (0, 0, 255), abs=4
    )


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    place=st.floats(0, 1, exclude_max=True),
    patch=st.binary(min_size=1, max_size=8),
    length=st.floats(0.2, 1),
)
def test_a_broken_profile_is_applied_or_ignored(place: float, patch: bytes, length: float) -> None:
    profile = display_p3()
    at = int(place * len(profile))
    broken = (profile[:at] + patch + profile[at + len(patch) :])[: int(len(profile) * length)]
    convert = conversion_to_srgb(broken, "RGB")
    if convert is not None:
        assert convert(PICTURE).size == PICTURE.size


def test_profiles_survive_no_conversion() -> None:
    photo = standardise(encoded(PICTURE, "JPEG", icc_profile=display_p3()))
    with Image.open(io.BytesIO(photo.data)) as stored:
        assert "icc_profile" not in stored.info
    assert ImageCms.ImageCmsProfile(io.BytesIO(display_p3()))
