"""Decodes fetched photos in a process of its own, which whatever they do to it ends alone.

Photos at URLs are the only bytes of strangers that an embed worker decodes. One that ended the
worker would end all that is being fetched, again and again.
"""

import logging
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Lock
from typing import Final

from models.domain.errors import InvalidPhoto, MarketlensError
from models.photo_decoding import StandardPhoto, standardise

log = logging.getLogger(__name__)

Decode = Callable[[bytes], StandardPhoto]
"""Standardises a photo, or raises as `models.photo_decoding.standardise` does."""

START_S: Final = 60.0
"""For how long the process may start."""
TRIES: Final = 2
"""Of a photo with which the process has died: it may have been killed for another reason."""


class DecoderProcess:
    """One process, started when first needed and again when it has ended. Threads take turns.

    A photo may take `seconds`; None is no limit.
    """

    def __init__(self, seconds: float | None, decode: Decode = standardise) -> None:
        self._seconds = seconds
        self._decode = decode
        self._lock = Lock()
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None

    def standardise(self, data: bytes) -> StandardPhoto:
        """As `models.photo_decoding.standardise`; InvalidPhoto also for what ends the process."""
        with self._lock:
            for _ in range(TRIES):
                try:
                    answer = self._answer(data)
                except (EOFError, OSError):
                    log.warning("a photo has ended its decoder")
                    self._end()
                    continue
                if isinstance(answer, Exception):
                    raise answer
                return answer
        raise InvalidPhoto("The photo can't be decoded: it ends its decoder.")

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _answer(self, data: bytes) -> StandardPhoto | Exception:
        connection = self._connection or self._start()
        connection.send_bytes(data)
        if not connection.poll(self._seconds):
            self._end()
            return InvalidPhoto("The photo can't be decoded: it takes too long.")
        answer = connection.recv()
        if isinstance(answer, StandardPhoto | Exception):
            return answer
        raise TypeError(f"a decoder has answered {type(answer).__name__}")

    def _start(self) -> Connection:
        # Not forked: threads and locks of this process would be copied in any state.
        spawn = get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, self._decode), daemon=True)
        self._process.start()
        theirs.close()
        if not self._connection.poll(START_S):
            raise OSError("the decoder does not start")
        self._connection.recv()
        return self._connection

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = self._connection = None


def _serve(connection: Connection, decode: Decode) -> None:
    """Answer until the other side is closed, as it is when its process dies."""
    connection.send(None)
    while True:
        try:
            data = connection.recv_bytes()
        except EOFError:
            return
        answer: StandardPhoto | Exception
        try:
            answer = decode(data)
        except MarketlensError as error:
            answer = error
        except Exception as error:  # noqa: BLE001 - raised in the process that has asked
            answer = RuntimeError(repr(error))
        connection.send(answer)
