"""Decoders are given mutations of valid files of every kind, in a process of their own.

`make fuzz` tries more of them: MARKETLENS_TEST_FUZZ times twenty.
"""

import os
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.decoder_process import Decoder, decoder_process, die, grow, hang, stumble
from tests.support.photo_files import PNG_SIGNATURE, chunk, every_kind

MORE: Final = os.environ.get("MARKETLENS_TEST_FUZZ")
EXAMPLES: Final = 20 * int(MORE) if MORE else 1500

MOST_GROWTH: Final = 1_500_000_000
"""What the largest photo that is taken needs, in bytes: a header may be changed to claim it."""

LENGTHS: Final = [0, 1, 2, 7, 8, 255, 256, 16_383, 65_535, 2**31 - 1, 2**31, 2**32 - 1]

# Rather towards the beginning, where headers are.
PLACE: Final = st.floats(0, 1, exclude_max=True).flatmap(
    lambda place: st.sampled_from([place, place**4])
)
LENGTH: Final = st.tuples(st.sampled_from(LENGTHS), st.sampled_from([2, 4])).flatmap(
    lambda pair: st.sampled_from(
        [
            (pair[0] % 256 ** pair[1]).to_bytes(pair[1], "big"),
            (pair[0] % 256 ** pair[1]).to_bytes(pair[1], "little"),
        ]
    )
)
PATCH: Final = st.binary(min_size=1, max_size=8) | LENGTH
# Where, what is written there, and how many bytes it replaces; many for a cut.
MUTATION: Final = st.tuples(PLACE, PATCH | st.just(b""), st.sampled_from([0, 1, 2, 4, 8, 64, 2000]))


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with decoder_process() as process:
        yield process


def mutated(data: bytes, mutations: list[tuple[float, bytes, int]], other: bytes) -> bytes:
    for place, patch, replaced in mutations:
        at = int(place * len(data))
        if not patch and replaced > 64:
            # The beginning of one file and the end of another.
            data = data[:at] + other[at:]
        else:
            data = data[:at] + patch + data[at + (replaced or len(patch)) :]
    return data


def with_checksums(png: bytes) -> bytes:
    """The PNG with the checksum of each chunk put right, so that its content is looked at."""
    parts, position = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while position + 12 <= len(png):
        length = int.from_bytes(png[position : position + 4])
        content = png[position + 8 : position + 8 + length]
        parts.append(chunk(png[position + 4 : position + 8], content))
        position += 12 + length
    return b"".join(parts)


@pytest.mark.parametrize("kind", every_kind())
def test_what_is_mutated_is_whole_and_taken(decoder: Decoder, kind: str) -> None:
    assert decoder.standardise(every_kind()[kind])[0] == "taken"


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=MORE is None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    kind=st.sampled_from(sorted(every_kind())),
    other=st.sampled_from(sorted(every_kind())),
    mutations=st.lists(MUTATION, min_size=1, max_size=4),
    put_right=st.booleans(),
)
def test_a_mutated_photo_is_taken_or_refused_within_time_and_memory(
    decoder: Decoder,
    kind: str,
    other: str,
    mutations: list[tuple[float, bytes, int]],
    put_right: bool,
) -> None:
    data = mutated(every_kind()[kind], mutations, every_kind()[other])
    if put_right and data.startswith(PNG_SIGNATURE):
        data = with_checksums(data)
    outcome, grown = decoder.standardise(data)
    assert outcome in {"taken", "refused"}
    assert grown < MOST_GROWTH


MANY: Final = 1_500_000


def behind_header(kind: str, piece: bytes) -> bytes:
    """A photo with very many short pieces where there may be some."""
    whole = every_kind()[kind]
    at = {"jpeg": 2, "png": 33, "gif": 13 + (6 << (whole[10] & 7))}.get(kind, len(whole))
    return whole[:at] + piece * MANY + whole[at:]


@pytest.mark.parametrize(
    ("kind", "piece"),
    [
        ("jpeg", b"\xff\xfe\x00\x02"),
        ("jpeg", b"\xff\xdb\x00\x02"),
        ("jpeg", b"\xff\xe1\x00\x08Exif\0\0"),
        ("png", chunk(b"teXt", b"")),
        ("png", chunk(b"IDAT", b"")),
        ("webp", b"abcd\0\0\0\0"),
        ("gif", b"\x21\xfe\0"),
        ("avif", b"\0\0\0\x08free"),
        ("heic", b"\0\0\0\x08free"),
    ],
)
def test_a_file_of_very_many_parts_is_refused(decoder: Decoder, kind: str, piece: bytes) -> None:
    outcome, grown = decoder.standardise(behind_header(kind, piece))
    assert outcome == "refused"
    assert grown < 100_000_000


@pytest.mark.parametrize(
    ("function", "outcome"),
    [
        (die, "died: SIGSEGV"),
        (hang, "died: SIGPROF"),
        (stumble, "RuntimeError(b'photo')"),
        (grow, "taken"),
    ],
)
def test_a_decoder_that_does_not_behave_is_seen(
    function: Callable[[bytes], object], outcome: str
) -> None:
    with decoder_process(function, hang_s=0.3) as process:
        for _ in range(2):
            seen, grown = process.standardise(b"photo")
            assert seen == outcome
        assert (grown > 90_000_000) == (function is grow)
