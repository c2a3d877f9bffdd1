"""A photo that crashes, hangs or swells its decoder is refused, and the next one is decoded."""

import os
import signal
from collections.abc import Iterator

import pytest

from models.decoder_process import DecoderProcess
from models.domain.errors import InvalidPhoto, UnsupportedPhoto
from models.photo_decoding import standardise
from tests.support.bad_decoders import DEATH, HANG, REPLY, SWELL
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
