"""`marketlens`, with what may go wrong in a process of it: photos that kill, clocks that are off.

Run as a program with the arguments of `marketlens`; the environment says what goes wrong.
"""

import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from PIL import Image

import models.domain.clock
from marketlens import main
from ops.processes import marketlens_command

KILLING_WIDTH: Final = 211
"""Photos of this width end the process that decodes them, as a defect of a decoder does."""
HANGING_WIDTH: Final = 223
"""The decoder does not end with these."""

SLOW_S: Final = "TEST_SLOW_PHOTOS_S"
"""How many seconds longer it takes to decode a photo."""
CLOCK_AHEAD_S: Final = "TEST_CLOCK_AHEAD_S"
AHEAD: Final = "TEST_AHEAD"
"""How the commands begin whose own clock is ahead by so many seconds; nobody else's is."""


class TroubledCommands:
    """Replaces what `ops.machine` starts: commands that begin so, with a trouble."""

    def __init__(self, *troubled: str) -> None:
        self._troubled = troubled

    def __call__(self, *arguments: str) -> list[str]:
        """The command line."""
        command = marketlens_command(*arguments)
        if " ".join(arguments).startswith(self._troubled):
            command[command.index("marketlens")] = "tests.support.troubled_worker"
        return command


def _put_clock_ahead(seconds: float) -> None:
    # Before anything imports the function by name.
    true_now = models.domain.clock.utc_now

    def utc_now() -> datetime:
        return true_now() + timedelta(seconds=seconds)

    models.domain.clock.utc_now = utc_now
    own_time = time.time
    time.time = lambda: own_time() + seconds


def _make_photos_hard() -> None:
    from models import near_duplicates, photo_decoding  # noqa: PLC0415 - torch is for workers alone
    from workers.embedding import photos as embedded_photos  # noqa: PLC0415 - the same

    slow_s = float(os.environ.get(SLOW_S, "0"))

    def decode_in_trouble(data: bytes) -> Image.Image:
        photo = photo_decoding.decode(data)
        if photo.width == KILLING_WIDTH:
            os.abort()
        while photo.width == HANGING_WIDTH:
            data.count(b"a")
        return photo

    def perceptual_hash_slowly(photo: Image.Image) -> int:
        time.sleep(slow_s)
        return near_duplicates.perceptual_hash(photo)

    for name, replaced in (
        ("decode", decode_in_trouble),
        ("perceptual_hash", perceptual_hash_slowly),
    ):
        setattr(embedded_photos, name, replaced)


def run(arguments: Sequence[str]) -> None:
    """Run the command with its trouble."""
    if " ".join(arguments).startswith(os.environ.get(AHEAD, "nobody")):
        _put_clock_ahead(float(os.environ[CLOCK_AHEAD_S]))
    if list(arguments[:2]) == ["worker", "embed"]:
        _make_photos_hard()
    main()


if __name__ == "__main__":
    run(sys.argv[1:])
