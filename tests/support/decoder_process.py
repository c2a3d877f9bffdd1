"""Photos standardised in a process of their own, whose death, time and memory are seen."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from models.domain.errors import InvalidPhoto, UnsupportedPhoto
from models.photo_decoding import standardise

HANG_S: Final = 5.0
"""Processor time that one small photo may take, in seconds; the process is ended then."""

# Time on the wall, which says nothing on a busy machine: only so that nothing waits forever.
_PATIENCE_S: Final = 120.0
_START = "started"


class Decoder:
    """The process, started again whenever it has ended. Use `decoder_process`."""

    def __init__(self, function: Callable[[bytes], object], hang_s: float) -> None:
        self._function = function
        self._hang_s = hang_s
        self._process: BaseProcess | None = None
        self._death = ""

    def standardise(self, data: bytes) -> tuple[str, int]:
        """How it ended, and by how many bytes the process has grown since its start.

        "taken", "refused", the name of any other exception, or how the process died.
        """
        if self._process is None or not self._process.is_alive():
            self._start()
        try:
            self._connection.send_bytes(data)
            if self._connection.poll(_PATIENCE_S):
                outcome, grown = self._connection.recv()
                return str(outcome), int(grown)
        except (EOFError, ConnectionError):
            pass
        self.stop()
        return self._death, 0

    def stop(self) -> None:
        """End the process."""
        if self._process is None:
            return
        self._connection.close()
        self._process.join(1)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        code = self._process.exitcode or 0
        self._death = f"died: {signal.Signals(-code).name if code < 0 else code}"
        self._process = None

    def _start(self) -> None:
        spawn = get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        told = (theirs, self._function, self._hang_s)
        self._process = spawn.Process(target=_serve, args=told, daemon=True)
        self._process.start()
        theirs.close()
        assert self._connection.recv() == _START


@contextmanager
def decoder_process(
    function: Callable[[bytes], object] = standardise, *, hang_s: float = HANG_S
) -> Iterator[Decoder]:
    """A process that calls this function, which ends with the block."""
    decoder = Decoder(function, hang_s)
    try:
        yield decoder
    finally:
        decoder.stop()


def _serve(connection: Connection, function: Callable[[bytes], object], hang_s: float) -> None:
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    connection.send(_START)
    while True:
        try:
            data = connection.recv_bytes()
        except EOFError:
            return
        reset_peak()
        before = peak_bytes()
        signal.setitimer(signal.ITIMER_PROF, hang_s)
        outcome = _outcome(function, data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        connection.send((outcome, peak_bytes() - before))


def _outcome(function: Callable[[bytes], object], data: bytes) -> str:
    try:
        function(data)
    except (InvalidPhoto, UnsupportedPhoto):
        return "refused"
    except BaseException as error:  # noqa: BLE001 - any other is what is looked for
        return repr(error)
    return "taken"


def reset_peak() -> None:
    """Forget the highest memory use of this process so far."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_bytes() -> int:
    """The highest memory use of this process since its start or `reset_peak`."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kilobytes) * 1024


def die(data: bytes) -> None:
    """A decoder that crashes."""
    del data
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(data: bytes) -> None:
    """A decoder that does not end."""
    while True:
        data.count(b"a")


def grow(data: bytes) -> None:
    """A decoder that takes a hundred million bytes."""
    assert b"\1" * (100_000_000 + len(data))


def stumble(data: bytes) -> None:
    """A decoder that raises what is not documented."""
    raise RuntimeError(data)
