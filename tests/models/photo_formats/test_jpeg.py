"""JPEGs with odd things beside their pixels, and without all of them."""

import hashlib
import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from models.domain.errors import InvalidPhoto
from models.photo_decoding import LONG_SIDE, decode, standardise
from models.photo_formats.jpeg import MAX_PIXELS_IN_SCANS
from models.photo_formats.opened import share_of_pixels
from tests.support.hostile_photos import jpeg_of_scans
from tests.support.photo_files import encoded, exif_of, segment, with_segments, xmp_of
from tests.support.pictures import picture

QUICKLY = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def noisy(size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A picture whose file is about as large for each of its rows."""
    grain = Image.frombytes("RGB", size, random.Random(0).randbytes(size[0] * size[1] * 3))
    return Image.blend(picture(3, size), grain, 0.3)


WHOLE = encoded(noisy(), "JPEG")
KINDS = {
    "baseline": WHOLE,
    "4:4:4": encoded(noisy(), "JPEG", subsampling="4:4:4"),
    "4:2:2": encoded(noisy(), "JPEG", subsampling="4:2:2"),
    "progressive": encoded(noisy(), "JPEG", progressive=True),
    "restarts": encoded(noisy(), "JPEG", restart_marker_rows=1),
    "grey": encoded(noisy().convert("L"), "JPEG"),
    "cmyk": encoded(noisy().convert("CMYK"), "JPEG"),
    "large": encoded(noisy((2100, 1200)), "JPEG"),
    "large and progressive": encoded(noisy((1100, 700)), "JPEG", progressive=True),
}
every_kind = pytest.mark.parametrize("whole", KINDS.values(), ids=KINDS.keys())


@every_kind
def test_a_jpeg_without_its_end_marker_is_the_same_photo(whole: bytes) -> None:
    assert whole.endswith(b"\xff\xd9")
    for without in (whole[:-2], whole[:-1], whole[:-2] + b"\xff" * 9):
        assert standardise(without) == standardise(whole)


@every_kind
def test_a_jpeg_that_is_cut_in_half_is_refused(whole: bytes) -> None:
    with pytest.raises(InvalidPhoto, match="damaged"):
        standardise(whole[: len(whole) // 2])


# A progressive photo that ends early, but with an end marker, is a coarser photo.
LITTLE_LACKS = [
    pytest.param(whole, end, id=f"{kind}, {'with' if end else 'without'} end marker")
    for kind, whole in KINDS.items()
    for end in (b"", b"\xff\xd9")
    if not end or "progressive" not in kind
]


@pytest.mark.parametrize(("whole", "end"), LITTLE_LACKS)
def test_a_jpeg_that_lacks_a_little_is_taken_and_flagged(whole: bytes, end: bytes) -> None:
    cut = standardise(whole[: int(len(whole) * 0.985)] + end)
    complete = standardise(whole)
    assert cut.incomplete
    assert not complete.incomplete
    assert (cut.width, cut.height) == (complete.width, complete.height)
    with Image.open(io.BytesIO(cut.data)) as one, Image.open(io.BytesIO(complete.data)) as other:
        upper = (0, 0, complete.width, complete.height * 3 // 4)
        assert one.crop(upper).tobytes() == other.crop(upper).tobytes()


@QUICKLY
@given(share=st.floats(0.3, 1))
def test_the_share_of_pixels_decides(share: float) -> None:
    """Against an oracle: which pixels of the cut photo are those of the whole one."""
    cut = WHOLE[: int(len(WHOLE) * share)]
    with Image.open(io.BytesIO(cut + b"\xff\xd9")) as shown, Image.open(io.BytesIO(WHOLE)) as whole:
        there = share_of_pixels(shown, whole)
    try:
        photo = standardise(cut)
    except InvalidPhoto:
        assert there < 0.96
    else:
        assert there > 0.94
        assert photo.incomplete == (there < 1)


def test_what_was_not_written_yet_is_not_taken_for_pixels() -> None:
    half = WHOLE[: len(WHOLE) // 2]
    with pytest.raises(InvalidPhoto, match="damaged"):
        standardise(half + bytes(10 * len(half)))


def test_a_progressive_jpeg_that_is_cut_before_its_last_scan_is_refused() -> None:
    whole = KINDS["progressive"]
    with pytest.raises(InvalidPhoto, match="before its last scan"):
        standardise(whole[: whole.rindex(b"\xff\xda")])


def test_a_grey_last_row_is_no_missing_row() -> None:
    image = noisy()
    ImageDraw.Draw(image).rectangle((0, 200, 320, 240), fill=(128, 128, 128))
    assert not standardise(encoded(image, "JPEG", quality=95)).incomplete


BESIDE = {
    "no text": segment(0xFE, b""),
    "text": segment(0xFE, bytes(60_000)),
    "much text": segment(0xFE, b"a" * 65_533) * 40,
    "a length of zero": b"\xff\xfe\x00\x00",
    "a length of one": b"\xff\xee\x00\x01",
    "fill bytes": b"\xff" * 500,
    "nonsense": bytes(100),
    "a bare marker": b"\xff\x01",
    "cut JFIF": segment(0xE0, b"JFIF\0"),
    "short JFIF": segment(0xE0, b"JF"),
    "short Adobe": segment(0xEE, b"Adobe\0"),
    "broken EXIF": segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff"),
    "empty EXIF": segment(0xE1, b"Exif\0\0"),
    "huge EXIF": segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 65_000) * 3,
    "broken XMP": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmp\xff\xfe"),
    "broken profile": segment(0xE2, b"ICC_PROFILE\0\1\1nothing"),
    "a profile with parts missing": segment(0xE2, b"ICC_PROFILE\0\2\7nothing"),
    "a profile without numbers": segment(0xE2, b"ICC_PROFILE\0"),
    "broken MPF": segment(0xE2, b"MPF\0II*\0"),
    "broken Photoshop": segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\x00\x00\xff\xff\xff\xff"),
    "a thumbnail": segment(0xE1, b"http://x\0" + encoded(picture(9), "JPEG")[:60_000]),
}


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE.keys())
def test_what_is_beside_the_pixels_changes_nothing(beside: bytes) -> None:
    if beside.startswith(b"\xff"):
        assert standardise(with_segments(WHOLE, beside)) == standardise(WHOLE)
    behind_jfif = WHOLE[:20] + beside + WHOLE[20:]
    assert standardise(behind_jfif) == standardise(WHOLE)


@QUICKLY
@given(
    segments=st.lists(
        st.builds(segment, st.sampled_from([*range(0xE3, 0xF0), 0xFE]), st.binary(max_size=400)),
        max_size=8,
    )
)
def test_application_segments_of_any_content_change_nothing(segments: list[bytes]) -> None:
    adobe = [one for one in segments if one[1] == 0xEE and one[4:].startswith(b"Adobe")]
    assert adobe or standardise(with_segments(WHOLE, *segments)) == standardise(WHOLE)


@pytest.mark.parametrize(
    "behind",
    [b"\xff\xd9", bytes(5000), b"\xff\xda\x00\x02" * 200, encoded(picture(9), "JPEG")],
    ids=["a second end", "zeros", "scans", "a second picture"],
)
def test_what_is_behind_the_picture_changes_nothing(behind: bytes) -> None:
    assert standardise(WHOLE + behind) == standardise(WHOLE)


def test_of_several_pictures_in_a_file_the_first_is_taken() -> None:
    others = {"save_all": True, "append_images": [picture(8)]}
    assert standardise(encoded(noisy(), "MPO", **others)) == standardise(WHOLE)


def test_nonsense_before_the_end_marker_changes_nothing() -> None:
    assert standardise(WHOLE[:-2] + b"nonsense" * 50 + WHOLE[-2:]) == standardise(WHOLE)


@pytest.mark.parametrize(
    "stated",
    [
        segment(0xE1, b"Exif\0\0" + exif_of(6).removeprefix(b"Exif\0\0")),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp_of(6)),
        # EXIF that states none is followed by XMP, as before.
        segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
        + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp_of(6)),
        segment(0xE1, b"Exif\0\0" + exif_of(6).removeprefix(b"Exif\0\0"))
        + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp_of(3)),
    ],
    ids=["exif", "xmp", "xmp beside exif without", "exif before xmp"],
)
def test_the_orientation_is_read_wherever_it_is(stated: bytes) -> None:
    turned = decode(with_segments(WHOLE, stated))
    assert turned.tobytes() == decode(WHOLE).transpose(Image.Transpose.ROTATE_270).tobytes()


def header_of(size: tuple[int, int], *, progressive: bool) -> bytes:
    """A JPEG that states this size."""
    whole = encoded(picture(1), "JPEG", progressive=progressive)
    at = whole.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    width, height = size
    return whole[:at] + height.to_bytes(2) + width.to_bytes(2) + whole[at + 4 :]


def test_a_photo_in_scans_has_a_limit_of_its_own() -> None:
    with pytest.raises(InvalidPhoto, match=f"at most {MAX_PIXELS_IN_SCANS:,}"):
        standardise(header_of((10_000, 8_000), progressive=True))


def test_more_pixels_than_any_phone_makes_are_refused_by_their_header() -> None:
    with pytest.raises(InvalidPhoto, match="at most 250,000,000"):
        standardise(header_of((20_000, 15_000), progressive=False))


@pytest.mark.parametrize("size", [(8160, 6144), (20_000, 1000), (1000, 20_000), (65_000, 16)])
def test_large_photos_and_long_panoramas_are_taken(size: tuple[int, int]) -> None:
    photo = standardise(encoded(Image.new("RGB", size, "teal"), "JPEG"))
    assert max(photo.width, photo.height) == 512
    assert min(photo.width, photo.height) == max(round(512 * min(size) / max(size)), 1)


def test_ordinary_photos_are_standardised_as_before() -> None:
    """By Pillow's own calls, as `standardise` was before formats had modules of their own."""
    for kind, options in [("JPEG", {"quality": 92}), ("PNG", {}), ("WEBP", {"quality": 90})]:
        with Image.open(io.BytesIO(encoded(picture(2, (1600, 1000)), kind, **options))) as image:
            drafted = image.draft(None, (480, 300))
            box = drafted and drafted[1]
            image.load()
            small = image.convert("RGB").resize(
                (512, 320), Image.Resampling.LANCZOS, box=box, reducing_gap=3
            )
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=90, subsampling="4:2:0")
        photo = standardise(encoded(picture(2, (1600, 1000)), kind, **options))
        assert photo.sha256 == hashlib.sha256(buffer.getvalue()).hexdigest()


def test_the_scans_of_a_photo_are_bounded_by_its_pixels() -> None:
    small, large = jpeg_of_scans(90, (1_000, 800)), jpeg_of_scans(90, (4_000, 3_000))
    assert standardise(small).width == LONG_SIDE
    with pytest.raises(InvalidPhoto, match="pixels in all scans"):
        standardise(large)
