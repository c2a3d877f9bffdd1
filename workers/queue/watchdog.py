"""Ends a worker that takes no messages, although some wait for it.

Kombu's Redis transport has had several faults by which a consumer that has lost its connection for
a while never takes a message again (celery #10205, kombu #2492, #2498). Whatever the next one is:
the supervisor starts the worker again.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from typing import Final

from models.domain.errors import Unavailable

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 5.0
SILENT_FOR_S: Final = 45.0
"""The relay's probes come every five seconds."""


class Watchdog:
    """Knows when a message was last seen, or a job.

    `is_busy`: whether a job is being done; `waiting` counts the queue's messages, and raises
    Unavailable where the broker does not answer.
    """

    def __init__(
        self,
        waiting: Callable[[], int],
        is_busy: Callable[[], bool],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._waiting = waiting
        self._is_busy = is_busy
        self._clock = clock
        self._seen_at = clock()

    def see_message(self) -> None:
        """A message was taken."""
        self._seen_at = self._clock()

    def is_stuck(self) -> bool:
        """Whether messages wait, and for long none was taken by this idle worker."""
        if self._is_busy():
            self.see_message()
        if self._clock() - self._seen_at < SILENT_FOR_S:
            return False
        try:
            waiting = self._waiting()
        except Unavailable as error:
            # Nobody can take a message; when the broker is back, there is time for that again.
            log.info("no messages can be seen: %s", error)
            waiting = 0
        if not waiting:
            self.see_message()
        return waiting > 0


@contextmanager
def watched(watchdog: Watchdog, end: Callable[[], None]) -> Iterator[None]:
    """Look in a thread until the block ends; call `end` once if the worker is stuck."""
    stop = Event()

    def run() -> None:
        while not stop.wait(LOOK_EVERY_S):
            if watchdog.is_stuck():
                log.error("no message was taken for %s s, although some wait", SILENT_FOR_S)
                end()
                return

    thread = Thread(target=run, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
