"""A photo that crashes, hangs or swells its decoder is refused, and the next one is decoded."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from models.decoder_process import DecoderProcess
from models.domain.errors import InvalidPhoto, UnsupportedPhoto
from models.photo_decoding import standardise
from tests.support.bad_decoders import DEATH, HANG, REPLY, SLEEP, SWELL
from tests.support.hostile_photos import jpeg_of_scans
from tests.support.pictures import cut_jpeg, jpeg
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def decoder() -> Iterator[DecoderProcess]:
    decoder = DecoderProcess()
    yield decoder
    decoder.close()


@pytest.mark.parametrize("photo", [jpeg(1), jpeg(2, (1200, 900)), cut_jpeg(3)])
def test_it_gives_the_same_as_this_process(decoder: DecoderProcess, photo: bytes) -> None:
    assert decoder.standardise(photo) == standardise(photo)


def test_what_is_refused_here_is_refused_there_in_the_same_words(decoder: DecoderProcess) -> None:
    for photo, error in ((b"text", UnsupportedPhoto), (jpeg_of_scans(90), InvalidPhoto)):
        with pytest.raises(error) as here:
            standardise(photo)
        with pytest.raises(error) as there:
            decoder.standardise(photo)
        assert str(there.value) == str(here.value)


def test_one_that_was_killed_is_started_again(decoder: DecoderProcess) -> None:
    decoder.standardise(jpeg(1))
    process = decoder._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: process.poll() is not None)
    assert decoder.standardise(jpeg(1)) == standardise(jpeg(1))


@pytest.mark.parametrize("photo", [DEATH, HANG, SWELL, REPLY])
def test_a_photo_that_ends_its_decoder_is_refused(photo: bytes) -> None:
    decoder = DecoderProcess(program="tests.support.bad_decoders")
    with pytest.raises(InvalidPhoto, match="within the time and memory"):
        decoder.standardise(photo)
    assert decoder._process is None


def test_one_that_waits_for_ever_is_refused() -> None:
    decoder = DecoderProcess(patience_s=1, program="tests.support.bad_decoders")
    with pytest.raises(InvalidPhoto, match="within the time and memory"):
        decoder.standardise(SLEEP)
    assert decoder._process is None


def test_a_child_of_celery_can_have_one() -> None:
    """Such a child is a daemon by its own account, and may start none by `multiprocessing`."""
    current = multiprocessing.current_process()
    before = current._config.get("daemon")  # type: ignore[attr-defined]
    current._config["daemon"] = True  # type: ignore[attr-defined]
    decoder = DecoderProcess()
    try:
        assert decoder.standardise(jpeg(1)) == standardise(jpeg(1))
    finally:
        current._config["daemon"] = before  # type: ignore[attr-defined]
        decoder.close()


def test_it_ends_with_the_one_that_has_started_it() -> None:
    program = (
        "import time\n"
        "from models.decoder_process import DecoderProcess\n"
        "from tests.support.pictures import jpeg\n"
        "DecoderProcess().standardise(jpeg(1))\n"
        "print('decoded', flush=True)\n"
        "time.sleep(60)\n"
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
