"""How long queries wait: how many are open, how fast they end, and when there are too many."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from math import ceil
from time import monotonic
from typing import Final

from fastapi.concurrency import run_in_threadpool

from api.jobs.waiting import is_set_within
from db.jobs import counting
from db.jobs.counting import Load
from db.session import Database
from models.domain.errors import Overloaded
from workers.queue.messages import QUERIES

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
NEWEST_SHARE: Final = 0.5
"""The weight of the newest second in the rate, so that it follows a fall in a few seconds."""
RISING_SHARE: Final = 0.1
"""Its weight in the rate that is not exceeded. Queries end in batches: what is accepted because
many have just ended would wait longer than it was told."""
ASSUMED_RATE: Final = 20.0
"""Queries a second that are taken to end before it is known how many do: as many as two cores
embed, of photos, with ResNet-50."""

LONGEST_S: Final = 10.0
"""Seconds without an end that count, where ends are seldom; after more, a worker was away."""


class Backlog:
    """The queries that are open, as this process has last seen them, and at what rate they end.

    `watching` is entered by the application; the rest is used in the same event loop. The rate is
    measured over seconds at whose beginning and end some were open: it is what the workers can do,
    and not known before they had something to do. It is that of all API processes and all workers.
    `refused` counts what was refused.
    """

    def __init__(
        self, database: Database, clock: Callable[[], datetime], max_wait_s: float
    ) -> None:
        self._database = database
        self._clock = clock
        self._max_wait_s = max_wait_s
        self._rate: float | None = None
        self._lasting = 0.0
        self._open = 0
        self.refused = 0
        self._admitted = 0
        self._busy_s = 0.0
        # Of the database, which is asked in threads alone.
        self._looked_at: datetime | None = None
        self._looked = monotonic()

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """Look in the background."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._watch(stop))
        try:
            yield
        finally:
            # Not cancelled: a thread would go on, with a connection that is then closed.
            stop.set()
            await task

    def admit(self) -> None:
        """Count one query more. Raises Overloaded if it would wait too long, and does not count."""
        self.require_room()
        self._admitted += 1

    def require_room(self) -> None:
        """Raise Overloaded if one query more would wait too long: before its body is read."""
        waiting = self._open + self._admitted
        wait_s = waiting / (self._known_rate or ASSUMED_RATE)
        if wait_s > self._max_wait_s:
            self.refused += 1
            raise Overloaded(
                f"An answer would take about {ceil(wait_s)} s: too many searches are waiting.",
                retry_after_s=ceil(wait_s),
            )

    def newest_wait_s(self) -> float | None:
        """The seconds after which the query that came last is expected to end, if known."""
        return self.wait_s(self._open + self._admitted)

    def wait_s(self, ahead: int) -> float | None:
        """The seconds in which so many queries are expected to end, if known."""
        rate = self._known_rate
        return None if rate is None else ahead / rate

    @property
    def _known_rate(self) -> float | None:
        return None if self._rate is None else min(self._rate, self._lasting)

    def look(self, seen: Load, elapsed_s: float) -> None:
        """Take in what was seen after so many seconds."""
        ended = self._open + seen.accepted - seen.open
        self._busy_s = min(self._busy_s + elapsed_s, LONGEST_S) if self._open else 0.0
        if self._busy_s and seen.open and ended > 0:
            newest = ended / self._busy_s
            before = newest if self._rate is None else self._rate
            lasting = self._lasting or newest
            self._rate = before + NEWEST_SHARE * (newest - before)
            self._lasting = lasting + RISING_SHARE * (newest - lasting)
            self._busy_s = 0.0
        self._open, self._admitted = seen.open, 0

    async def _watch(self, stop: asyncio.Event) -> None:
        # What was admitted just before a look may not be committed yet: then the next one sees it.
        unseen = 0
        while not await is_set_within(stop, LOOK_EVERY_S):
            moment, until = monotonic(), None
            admitted = self._admitted
            if self._open or admitted or unseen:
                try:
                    seen, until = await run_in_threadpool(self._seen, moment - self._looked)
                except Exception as error:  # noqa: BLE001 - the next look may succeed
                    log.warning("the backlog can't be seen: %s", error)
                    continue
                meanwhile = self._admitted - admitted
                self.look(seen, moment - self._looked)
                self._admitted, unseen = meanwhile, admitted
            self._looked_at, self._looked = until, moment

    def _seen(self, elapsed_s: float) -> tuple[Load, datetime]:
        """What there is, and when that was."""
        until = self._clock()
        since = self._looked_at or until - timedelta(seconds=elapsed_s)
        with self._database.read() as session:
            return counting.load_of(session, QUERIES, since, until), until
