"""WebPs with odd chunks beside their pixels, and without all of them."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.domain.errors import InvalidPhoto
from models.photo_decoding import decode, standardise
from tests.support.photo_files import encoded, exif_of, riff, riff_chunks, xmp_of
from tests.support.pictures import picture

QUICKLY = settings(max_examples=60, deadline=None, derandomize=True, database=None)
PICTURE = picture(4, (120, 90))
GRAIN = Image.frombytes("RGB", (120, 90), random.Random(0).randbytes(120 * 90 * 3))
ALPHA = GRAIN.copy()
ALPHA.putalpha(PICTURE.convert("L"))
OTHER = {"save_all": True, "append_images": [PICTURE]}
KINDS = {
    "lossy": encoded(GRAIN, "WEBP", quality=95),
    "lossless": encoded(GRAIN, "WEBP", lossless=True),
    "alpha": encoded(ALPHA, "WEBP", quality=95),
    "animated": encoded(GRAIN, "WEBP", **OTHER),
}
every_kind = pytest.mark.parametrize("whole", KINDS.values(), ids=KINDS.keys())
cut_kinds = pytest.mark.parametrize("kind", ["lossy", "lossless", "alpha"])


@every_kind
@pytest.mark.parametrize("stated", [0, 1, 30, 2**31, 2**32 - 1])
def test_the_length_that_the_container_states_does_not_matter(whole: bytes, stated: int) -> None:
    odd = whole[:4] + stated.to_bytes(4, "little") + whole[8:]
    assert standardise(odd) == standardise(whole)


def extended(whole: bytes, *added: tuple[bytes, bytes], flags: int) -> bytes:
    """The WebP in the extended form with these chunks behind its pixels."""
    size = (PICTURE.width - 1).to_bytes(3, "little") + (PICTURE.height - 1).to_bytes(3, "little")
    return riff((b"VP8X", bytes([flags, 0, 0, 0]) + size), *riff_chunks(whole), *added)


@QUICKLY
@given(
    added=st.lists(
        st.tuples(
            st.sampled_from([b"EXIF", b"ICCP", b"XMP ", b"abcd", b"\0\0\0\0"]),
            st.binary(max_size=100),
        ),
        max_size=4,
    ),
    flags=st.sampled_from([0, 0x04, 0x08, 0x20, 0x2C]),
)
def test_metadata_of_any_content_changes_nothing(
    added: list[tuple[bytes, bytes]], flags: int
) -> None:
    whole = KINDS["lossy"]
    assert standardise(extended(whole, *added, flags=flags)) == standardise(whole)


@pytest.mark.parametrize(
    "stated",
    [(b"EXIF", exif_of(6)), (b"EXIF", exif_of(6)[6:]), (b"XMP ", xmp_of(6))],
    ids=["exif", "exif without its prefix", "xmp"],
)
@pytest.mark.parametrize("flags", [0, 0x0C])
def test_the_orientation_is_read_wherever_it_is(stated: tuple[bytes, bytes], flags: int) -> None:
    whole = KINDS["lossless"]
    turned = decode(extended(whole, stated, flags=flags))
    assert turned.tobytes() == GRAIN.transpose(Image.Transpose.ROTATE_270).tobytes()


@every_kind
def test_what_is_behind_the_picture_changes_nothing(whole: bytes) -> None:
    for behind in (bytes(3), bytes(5000), b"PK\x03\x04 an archive", whole):
        assert standardise(whole + behind) == standardise(whole)


@cut_kinds
def test_a_webp_that_lacks_a_little_is_taken_and_flagged(kind: str) -> None:
    whole = KINDS[kind]
    cut = whole[: int(len(whole) * 0.985)]
    assert standardise(cut).incomplete
    assert not standardise(whole).incomplete
    upper = (0, 0, 120, 70)
    assert decode(cut).crop(upper).tobytes() == decode(whole).crop(upper).tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_a_webp_that_lacks_much_is_refused(kind: str, share: float) -> None:
    whole = KINDS[kind]
    if kind == "animated":
        share /= 2  # the rest is the second frame
    with pytest.raises(InvalidPhoto, match="damaged"):
        standardise(whole[: int(len(whole) * share)])


def test_a_last_byte_that_only_fills_up_may_lack() -> None:
    ((name, content),) = riff_chunks(KINDS["lossy"])
    odd = riff((name, content[:-1] if len(content) % 2 == 0 else content))
    assert odd.endswith(b"\0")
    assert standardise(odd[:-1]) == standardise(odd)
