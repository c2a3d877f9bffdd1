"""A limit on the time of steps that no Python code can break off, such as a decoder that hangs."""

import faulthandler
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from typing import Final

STANDARD_ERROR: Final = 2
ARM_EVERY_S: Final = 1.0
"""The timer is set anew at most so often, as each time takes a thread; it may end a process that
much too early."""


class TimeLimit:
    """Ends this process when a step in one of its threads takes longer than `seconds`.

    The timer is faulthandler's, which needs no lock of the interpreter: also what holds that is
    ended. It logs what every thread was doing. There is one timer in a process: only one object of
    this class may be in use. None is no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._lock = Lock()
        self._begun: dict[object, float] = {}
        self._armed_at = float("-inf")

    @contextmanager
    def step(self) -> Generator[None]:
        """Within this, time is limited."""
        if self._seconds is None:
            yield
            return
        token = object()
        with self._lock:
            self._begun[token] = monotonic()
            self._arm(self._seconds)
        try:
            yield
        finally:
            with self._lock:
                del self._begun[token]
                self._arm(self._seconds)

    def _arm(self, seconds: float) -> None:
        if not self._begun:
            faulthandler.cancel_dump_traceback_later()
            self._armed_at = float("-inf")
            return
        now = monotonic()
        if now - self._armed_at < ARM_EVERY_S:
            return
        self._armed_at = now
        left = min(self._begun.values()) + seconds - now
        faulthandler.dump_traceback_later(max(left, 0.001), exit=True, file=STANDARD_ERROR)
