"""GIF and BMP."""

import random

import pytest
from PIL import Image

from models.domain.errors import InvalidPhoto
from models.photo_decoding import decode, standardise
from tests.support.photo_files import encoded
from tests.support.pictures import picture

PICTURE = picture(4, (120, 90))
COLOURS = PICTURE.quantize(64)
GIF = encoded(COLOURS, "GIF")
# Behind the header and the palette, whose length the header states.
FRAME = 13 + (6 << (GIF[10] & 7))


def test_a_gif_is_its_first_frame() -> None:
    others = [picture(seed, (120, 90)).quantize(64) for seed in (5, 6)]
    animated = encoded(COLOURS, "GIF", save_all=True, append_images=others, loop=0)
    assert decode(animated).tobytes() == COLOURS.convert("RGB").tobytes()
    # Nothing behind it is looked at.
    end = animated.index(b"\0\x21\xf9", 900)
    assert standardise(animated[: end + 1]) == standardise(animated)


@pytest.mark.parametrize(
    "extension",
    [
        b"\x21\xfe" + (b"\xff" + bytes(255)) * 40_000 + b"\0",
        b"\x21\xff\x0bXMP DataXMP" + b"\x05<x:x>\0",
        b"\x21\x01\x0c" + bytes(12) + b"\0",
        b"\x21\xfe\0",
    ],
    ids=["ten million bytes of comment", "xmp", "plain text", "an empty comment"],
)
def test_what_is_beside_the_pixels_changes_nothing(extension: bytes) -> None:
    assert standardise(GIF[:FRAME] + extension + GIF[FRAME:]) == standardise(GIF)


def test_a_transparent_gif_is_laid_on_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 200, 40, 10])
    image.putpixel((1, 0), 1)
    photo = decode(encoded(image, "GIF", transparency=0))
    assert [photo.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (200, 40, 10)]


def test_a_gif_without_its_trailer_is_taken_and_one_that_is_cut_is_not() -> None:
    assert standardise(GIF[:-1]) == standardise(GIF[:-2]) == standardise(GIF)
    for share in (0.01, 0.1, 0.5, 0.9):
        with pytest.raises(InvalidPhoto, match="damaged"):
            standardise(GIF[: int(len(GIF) * share)])


@pytest.mark.parametrize("colours", [4, 16, 256])
@pytest.mark.parametrize("share", [0.97, 0.98, 0.99])
@pytest.mark.parametrize("interlace", [0, 1])
def test_a_gif_that_lacks_a_little_is_taken_and_flagged(
    colours: int, share: float, interlace: int
) -> None:
    grain = Image.frombytes("RGB", (120, 90), random.Random(0).randbytes(120 * 90 * 3))
    image = Image.blend(PICTURE, grain, 0.3).quantize(colours)
    whole = encoded(image, "GIF", interlace=interlace)
    cut = whole[: int(len(whole) * share)]
    assert standardise(cut).incomplete
    assert not standardise(whole).incomplete
    upper = (0, 0, 120, 80)
    assert decode(cut).crop(upper).tobytes() == image.convert("RGB").crop(upper).tobytes()


@pytest.mark.parametrize("data", [GIF[:6] + b"\xff" * 7, b"GIF89a" + bytes(50)])
def test_a_gif_without_a_frame_is_damaged(data: bytes) -> None:
    with pytest.raises(InvalidPhoto, match="damaged"):
        standardise(data)


def test_a_gif_states_its_pixels_twice() -> None:
    with pytest.raises(InvalidPhoto, match="at most 70,000,000 pixels"):
        standardise(GIF[: FRAME + 5] + b"\xff\xff\xff\xff" + GIF[FRAME + 9 :])
    with pytest.raises(InvalidPhoto, match="at most 70,000,000 pixels"):
        standardise(GIF[:6] + b"\xff\xff\xff\xff" + GIF[10:])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_a_bmp_is_taken(mode: str) -> None:
    image = COLOURS if mode == "P" else PICTURE.convert(mode)
    assert decode(encoded(image, "BMP")).tobytes() == image.convert("RGB").tobytes()


def test_a_bmp_that_lacks_a_little_is_flagged_and_one_that_lacks_much_refused() -> None:
    whole = encoded(PICTURE, "BMP")
    assert standardise(whole[: int(len(whole) * 0.97)]).incomplete
    assert not standardise(whole).incomplete
    with pytest.raises(InvalidPhoto, match="only 90% of its pixels"):
        standardise(whole[: int(len(whole) * 0.9)])


def run_lengths(rows: int) -> bytes:
    """A BMP of 8 bits in run lengths: rows of two runs."""
    palette = bytes(range(256)) * 4
    body = b"\x64\x10\x14\x80\x00\x00" * rows + b"\x00\x01"
    start = 14 + 40 + len(palette)
    header = b"BM" + (start + len(body)).to_bytes(4, "little") + bytes(4)
    header += start.to_bytes(4, "little") + (40).to_bytes(4, "little")
    header += (120).to_bytes(4, "little") + rows.to_bytes(4, "little")
    header += b"\x01\x00\x08\x00" + (1).to_bytes(4, "little") + len(body).to_bytes(4, "little")
    return header + bytes(8) + (256).to_bytes(4, "little") * 2 + palette + body


def test_run_lengths_are_taken_up_to_some_bytes() -> None:
    photo = standardise(run_lengths(90))
    assert (photo.width, photo.height) == (120, 90)
    with pytest.raises(InvalidPhoto, match="run lengths"):
        standardise(run_lengths(400_000))
