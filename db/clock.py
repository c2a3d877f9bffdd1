"""The database's clock: the one by which times are compared that several processes have written.

Leases, times of publishing and of probes are judged by it, never by a process' own clock, which may
be off. SQLite has no other clock than the machine's, which all its processes share.
"""

import time
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

ASK_EVERY_S: Final = 10.0
"""How often the database is asked; in between, its time is counted on. Asking costs as much as any
other query, and two machines' oscillators differ by less than a millisecond in this time."""

_QUESTIONS: Final = {
    "sqlite": text("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')"),
    "postgresql": text("SELECT clock_timestamp()"),
}


class DatabaseClock:
    """Gives the database's time. Asks when first called, and then now and then."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._question = _QUESTIONS[engine.dialect.name]
        self._asking = Lock()
        self._ahead: timedelta | None = None
        """By how much its time is ahead of that of `_elapsed`, counted from the epoch."""
        self._ask_at = 0.0

    def __call__(self) -> datetime:
        """The time, in UTC. Raises a driver's error if the database was never reached."""
        ahead = self._ahead
        if ahead is None:
            with self._asking:
                ahead = self._ahead or self._ask()
        elif _elapsed() >= self._ask_at and self._asking.acquire(blocking=False):
            try:
                ahead = self._ask()
            except (DBAPIError, PoolTimeout):
                # What was told last stays true for long.
                self._ask_at = _elapsed() + ASK_EVERY_S
            finally:
                self._asking.release()
        return _EPOCH + timedelta(seconds=_elapsed()) + ahead

    def _ask(self) -> timedelta:
        with self._engine.connect() as connection:
            before = _elapsed()
            told = connection.scalar(self._question)
            after = _elapsed()
        self._ahead = _time_of(told) - _EPOCH - timedelta(seconds=(before + after) / 2)
        self._ask_at = after + ASK_EVERY_S
        return self._ahead


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SINCE_START: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine is suspended, where the system has such a clock."""


def _time_of(told: object) -> datetime:
    if isinstance(told, str):
        # SQLite tells milliseconds, rounded down: it is half of one more on average.
        return datetime.fromisoformat(told).replace(tzinfo=UTC) + timedelta(microseconds=500)
    if isinstance(told, datetime):
        return told
    raise TypeError(f"the database's time is {told!r}")


def _elapsed() -> float:
    """Seconds that have passed, which no change of the process' clock affects."""
    return time.clock_gettime(_SINCE_START)
