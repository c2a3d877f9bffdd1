"""Decodes photos in a process of its own, which may crash, hang or swell without harm to others.

The process takes photos that are costly: its memory and the processor time of each photo are
limited by the operating system, and it can't write files. What it sends back is read as JSON and
bytes, and never as code.
"""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Lock
from typing import Final

from models.domain.errors import InvalidPhoto, UnsupportedPhoto
from models.photo_decoding import StandardPhoto, standardise

PHOTO_S: Final = 15
"""Processor time of one photo, in seconds: the largest that are taken need two and a half."""
PATIENCE_S: Final = 90.0
"""Time on the wall, which a busy machine may take for that, unless another is stated."""
MEMORY_BYTES: Final = 2_000_000_000
"""Of the process: the largest photos that are taken need 1.3 billion."""
IDLE_S: Final = 300.0
"""After so many seconds without a photo the process ends; it is started again when needed."""
_FILES: Final = 64
_REFUSALS: Final = {error.code: error for error in (InvalidPhoto, UnsupportedPhoto)}
_TOO_COSTLY: Final = "The photo can't be decoded within the time and memory of one photo."


class DecoderProcess:
    """One process, which takes one photo at a time; started when it is first needed.

    It is a program and no child of `multiprocessing`, which Celery's processes may not have.
    """

    def __init__(
        self, niceness: int = 0, patience_s: float = PATIENCE_S, program: str = __name__
    ) -> None:
        self._niceness = niceness
        self._patience_s = patience_s
        self._program = program
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def standardise(self, data: bytes) -> StandardPhoto:
        """As `models.photo_decoding.standardise`. Waits for the photos before.

        Raises InvalidPhoto also for a photo that takes too much time or memory.
        """
        with self._lock:
            for _ in range(2):
                connection = self._started()
                with suppress(EOFError, OSError, ValueError):
                    connection.send_bytes(data)
                    if connection.poll(self._patience_s):
                        return _result(json.loads(connection.recv_bytes()), connection)
                # It ends by itself when it is idle, and somebody may have killed it.
                if self._stop() not in {0, -signal.SIGKILL}:
                    break
            raise InvalidPhoto(_TOO_COSTLY)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._stop()

    def _started(self) -> Connection:
        if self._connection is not None and self._process is not None:
            return self._connection
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", self._program, str(theirs.fileno()), str(self._niceness)]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own
                command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        self._connection = Connection(ours.detach())
        return self._connection

    def _stop(self) -> int:
        """End it; how it has ended: 0 if it was idle or never started."""
        if self._process is None:
            return 0
        with suppress(subprocess.TimeoutExpired):
            # One that is dying has closed its end before it is dead.
            self._process.wait(0.5)
        is_dead = self._process.poll() is not None
        if self._connection is not None:
            self._connection.close()
        if not is_dead:
            self._process.kill()
        code = self._process.wait()
        self._process = self._connection = None
        return code if is_dead else -signal.SIGXCPU


def _result(answer: dict[str, object], connection: Connection) -> StandardPhoto:
    if (code := answer.get("refused")) is not None:
        raise _REFUSALS[str(code)](str(answer["detail"]))
    return StandardPhoto(
        data=connection.recv_bytes(),
        sha256=str(answer["sha256"]),
        width=int(str(answer["width"])),
        height=int(str(answer["height"])),
        incomplete=bool(answer["incomplete"]),
    )


def main(descriptor: int, niceness: int) -> None:
    """Answer until the other end is closed, or nothing has come for long."""
    os.nice(niceness)
    # Who stops its parent with Ctrl-C closes the other end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_process()
    connection = Connection(descriptor)
    with suppress(EOFError, ConnectionError):
        while connection.poll(IDLE_S):
            data = connection.recv_bytes()
            _limit_time()
            _answer(connection, data)
            del data


def limit_process() -> None:
    """Limit the memory and the files of this process."""
    for kind, most in (
        (resource.RLIMIT_DATA, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, hard))


def _limit_time() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    until = int(used.ru_utime + used.ru_stime) + PHOTO_S
    resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


def _answer(connection: Connection, data: bytes) -> None:
    try:
        photo = standardise(data)
    except (InvalidPhoto, UnsupportedPhoto) as error:
        connection.send_bytes(json.dumps({"refused": error.code, "detail": str(error)}).encode())
        return
    except MemoryError:
        refused = {"refused": InvalidPhoto.code, "detail": _TOO_COSTLY}
        connection.send_bytes(json.dumps(refused).encode())
        return
    told = {
        "sha256": photo.sha256,
        "width": photo.width,
        "height": photo.height,
        "incomplete": photo.incomplete,
    }
    connection.send_bytes(json.dumps(told).encode())
    connection.send_bytes(photo.data)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
