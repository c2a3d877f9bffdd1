"""A fetched photo that kills or hangs its decoder fails alone, in a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psutil
import pytest

from models.domain.errors import InvalidPhoto, UnsupportedPhoto
from models.photo_decoding import StandardPhoto, standardise
from tests.support.pictures import jpeg
from tests.support.waiting import wait_until
from workers.fetching.decoder_process import DecoderProcess

KILLS, HANGS, BREAKS = b"kills", b"hangs", b"breaks"


def decode(data: bytes) -> StandardPhoto:
    """A decoder with defects."""
    if data == KILLS:
        os.abort()
    while data == HANGS:
        time.sleep(1)
    if data == BREAKS:
        raise ZeroDivisionError
    return standardise(data)


@contextmanager
def decoding(seconds: float | None = None) -> Iterator[Callable[[bytes], StandardPhoto]]:
    with closing(DecoderProcess(seconds, decode)) as process:
        yield process.standardise


def test_photos_are_as_they_are_decoded_here() -> None:
    with decoding() as decode_there:
        for seed in range(3):
            assert decode_there(jpeg(seed)) == standardise(jpeg(seed))
        with pytest.raises(UnsupportedPhoto, match="not a JPEG"):
            decode_there(b"a text")


@pytest.mark.parametrize(("hard", "why"), [(KILLS, "ends its decoder"), (HANGS, "too long")])
def test_a_hard_photo_fails_and_the_next_one_does_not(hard: bytes, why: str) -> None:
    with decoding(seconds=2 if hard == HANGS else None) as decode_there:
        with pytest.raises(InvalidPhoto, match=why):
            decode_there(hard)
        assert decode_there(jpeg(1)) == standardise(jpeg(1))


def test_a_defect_is_told() -> None:
    with decoding() as decode_there, pytest.raises(RuntimeError, match="ZeroDivisionError"):
        decode_there(BREAKS)


def test_the_process_ends_with_the_one_that_has_started_it() -> None:
    program = (
        "import time\n"
        "from workers.fetching.decoder_process import DecoderProcess\n"
        "from tests.support.pictures import jpeg\n"
        "if __name__ == '__main__':\n"
        "    DecoderProcess(None).standardise(jpeg(1))\n"
        "    print('decoded', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "decoded\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert children
        parent.kill()
    wait_until(lambda: not any(child.is_running() for child in children))
