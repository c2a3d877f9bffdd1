"""PNGs with odd chunks beside their pixels, and without all of them."""

import random
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.domain.errors import InvalidPhoto
from models.photo_decoding import decode, standardise
from tests.support.photo_files import (
    PNG_SIGNATURE,
    chunk,
    chunks,
    encoded,
    exif_of,
    interlaced,
    with_chunks,
    xmp_of,
)
from tests.support.pictures import picture

QUICKLY = settings(max_examples=60, deadline=None, derandomize=True, database=None)
PICTURE = picture(4, (120, 90))
WHOLE = encoded(PICTURE, "PNG")
BOMB = zlib.compress(bytes(40_000_000), 9)

BESIDE = {
    "much compressed text": chunk(b"zTXt", b"Comment\0\0" + BOMB) * 20,
    "much compressed unicode": chunk(b"iTXt", b"Comment\0\1\0\0\0" + BOMB) * 20,
    "many large XMP packets": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB) * 20,
    "many large EXIF profiles": chunk(b"zTXt", b"Raw profile type exif\0\0" + BOMB) * 20,
    "a large profile": chunk(b"iCCP", b"x\0\0" + BOMB) * 20,
    "text over the limit": chunk(b"tEXt", b"Comment\0" + b"a" * 3_000_000),
    "text with a wrong checksum": chunk(b"tEXt", b"Comment\0a", checksum=7),
    "text without a keyword": chunk(b"tEXt", b"a" * 100),
    "text that is not compressed": chunk(b"zTXt", b"Comment\0\0nothing"),
    "empty text": chunk(b"tEXt", b"") + chunk(b"zTXt", b"") + chunk(b"iTXt", b""),
    "a broken profile": chunk(b"iCCP", b"x\0\0nothing"),
    "an empty profile": chunk(b"iCCP", b""),
    "a profile with a wrong checksum": chunk(b"iCCP", b"x\0\0" + BOMB, checksum=7),
    "broken EXIF": chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"),
    "huge EXIF": chunk(b"eXIf", b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 2_000_000),
    "short numbers": b"".join(
        chunk(name, b"\1") for name in (b"gAMA", b"cHRM", b"pHYs", b"sRGB", b"tIME", b"cICP")
    ),
    "a transparency of another kind": chunk(b"tRNS", b"\1"),
    "a transparency with a wrong checksum": chunk(b"tRNS", bytes(6), checksum=7),
    "unknown chunks": chunk(b"prIv", bytes(5000)) + chunk(b"xxxx", b""),
    "half an animation": chunk(b"acTL", b"\0") + chunk(b"fcTL", bytes(3)),
}


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE.keys())
def test_what_is_beside_the_pixels_changes_nothing_and_costs_little(beside: bytes) -> None:
    data = with_chunks(WHOLE, beside)
    tracemalloc.start()
    try:
        photo = standardise(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert photo == standardise(WHOLE)
    assert peak < 30_000_000


ANCILLARY = st.sampled_from(
    b"tEXt zTXt iTXt iCCP eXIf gAMA cHRM sRGB bKGD pHYs sBIT hIST tIME sPLT cICP acTL fcTL fdAT"
    b" prVt".split()
)


@QUICKLY
@given(
    added=st.lists(
        st.builds(
            chunk, ANCILLARY, st.binary(max_size=200), checksum=st.sampled_from([None, None, 7])
        ),
        max_size=8,
    ),
    before_pixels=st.booleans(),
)
def test_ancillary_chunks_of_any_content_change_nothing(
    added: list[bytes], before_pixels: bool
) -> None:
    at = WHOLE.index(b"IDAT") - 4 if before_pixels else len(WHOLE) - 12
    assert standardise(WHOLE[:at] + b"".join(added) + WHOLE[at:]) == standardise(WHOLE)


@pytest.mark.parametrize(
    "data",
    [
        WHOLE[:-12],
        WHOLE[:-16],
        WHOLE[:-3],
        WHOLE + bytes(5000),
        WHOLE + b"PK\x03\x04 an archive",
        WHOLE + WHOLE,
        WHOLE[:-12] + b"\0\0\0\1IEND",
        WHOLE[:-12] + b"\xff\xff\xff\xfftEXt",
    ],
    ids=["no end", "no checksum", "half an end", "zeros", "archive", "again", "odd end", "no text"],
)
def test_an_end_that_is_missing_or_has_something_behind_it_changes_nothing(data: bytes) -> None:
    assert standardise(data) == standardise(WHOLE)


def in_many_chunks(png: bytes, length: int) -> bytes:
    pixels = b"".join(content for name, content in chunks(png) if name == b"IDAT")
    pieces = [pixels[at : at + length] for at in range(0, len(pixels), length)]
    head = png[: png.index(b"IDAT") - 4]
    return head + b"".join(chunk(b"IDAT", piece) for piece in [b"", *pieces]) + png[-12:]


def test_pixels_in_many_chunks_are_the_same_pixels() -> None:
    assert standardise(in_many_chunks(WHOLE, 3)) == standardise(WHOLE)


GRAIN = Image.frombytes("RGB", (120, 90), random.Random(0).randbytes(120 * 90 * 3))
KINDS = {
    "rgb": encoded(GRAIN, "PNG"),
    "grey": encoded(GRAIN.convert("L"), "PNG"),
    "palette": encoded(GRAIN.quantize(64), "PNG"),
    "16 bits": encoded(GRAIN.convert("L").convert("I;16"), "PNG"),
    "interlaced": interlaced(GRAIN),
    "transparent": encoded(GRAIN.convert("RGBA"), "PNG"),
}
every_kind = pytest.mark.parametrize("whole", KINDS.values(), ids=KINDS.keys())


@every_kind
def test_a_png_that_lacks_a_little_is_taken_and_flagged(whole: bytes) -> None:
    cut = whole[: int(len(whole) * 0.97)]
    assert standardise(cut).incomplete
    assert not standardise(whole).incomplete
    shown, complete = decode(cut), decode(whole)
    # The last pass of an interlaced photo is every second row.
    upper = (0, 0, 120, 80)
    assert shown.crop(upper).tobytes() == complete.crop(upper).tobytes()


@every_kind
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_png_that_lacks_much_is_refused(whole: bytes, share: float) -> None:
    with pytest.raises(InvalidPhoto, match="damaged"):
        standardise(whole[: int(len(whole) * share)])


@QUICKLY
@given(share=st.floats(0.5, 1))
def test_the_share_of_rows_decides(share: float) -> None:
    whole = KINDS["rgb"]
    cut = whole[: int(len(whole) * share)]
    start = whole.index(b"IDAT") + 4
    there = len(zlib.decompressobj().decompress(cut[start:])) // (1 + 3 * 120) / 90
    try:
        photo = standardise(cut)
    except InvalidPhoto:
        assert there < 0.95
    else:
        assert there >= 0.95
        assert photo.incomplete == (there < 1)


def test_the_last_row_is_repeated_where_rows_are_missing() -> None:
    whole = encoded(Image.new("RGB", (50, 100), (10, 200, 30)), "PNG", compress_level=0)
    assert decode(whole[: int(len(whole) * 0.97)]).getpixel((49, 99)) == (10, 200, 30)


def test_pixels_that_are_damaged_near_the_end_count_to_there() -> None:
    whole = KINDS["rgb"]
    at = int(len(whole) * 0.985)
    assert standardise(whole[:at] + bytes(100) + whole[at + 100 :]).incomplete
    at = len(whole) // 2
    broken = whole[:at] + b"\xff" * 3000 + whole[at + 3000 :]
    with pytest.raises(InvalidPhoto, match="damaged"):
        standardise(broken)


@pytest.mark.parametrize(
    "stated",
    [
        chunk(b"eXIf", exif_of(6).removeprefix(b"Exif\0\0")),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp_of(6)),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp_of(6))),
        chunk(
            b"zTXt",
            b"Raw profile type exif\0\0"
            + zlib.compress(f"\nexif\n{len(exif_of(6)):8}\n{exif_of(6).hex()}\n".encode()),
        ),
    ],
    ids=["exif", "xmp", "compressed xmp", "raw exif"],
)
def test_the_orientation_is_read_wherever_it_is(stated: bytes) -> None:
    turned = decode(with_chunks(WHOLE, stated))
    assert turned.tobytes() == PICTURE.transpose(Image.Transpose.ROTATE_270).tobytes()
    behind = WHOLE[:-12] + stated + WHOLE[-12:]
    assert decode(behind).tobytes() == turned.tobytes()


def test_an_interlaced_png_is_decoded() -> None:
    assert decode(interlaced(PICTURE)).tobytes() == PICTURE.tobytes()


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_small_interlaced_pngs_that_are_cut_do_not_confuse(width: int) -> None:
    whole = interlaced(GRAIN.crop((0, 0, width, 7)))
    for length in range(len(PNG_SIGNATURE), len(whole)):
        with suppress(InvalidPhoto):
            assert standardise(whole[:length]).width == width


@pytest.mark.parametrize(
    "damaged",
    [WHOLE[:8], WHOLE[:40], PNG_SIGNATURE + WHOLE[33:], WHOLE[:29] + b"\0\0\0\0" + WHOLE[33:]],
    ids=["nothing", "no pixels", "no header", "wrong checksum of the header"],
)
def test_what_has_no_header_or_no_pixels_is_damaged(damaged: bytes) -> None:
    with pytest.raises(InvalidPhoto, match="damaged"):
        standardise(damaged)
