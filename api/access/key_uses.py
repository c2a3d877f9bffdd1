"""When API keys were last used, written now and then, beside the calls that use them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from threading import Lock
from typing import Final

from fastapi.concurrency import run_in_threadpool

from api.jobs.waiting import is_set_within
from db.keys import record_use
from db.session import Database
from models.domain.errors import MarketlensError

log = logging.getLogger(__name__)

WRITE_EVERY_S: Final = 60.0


class KeyUses:
    """The keys that were used since the last write. `writing` is entered by the application."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._lock = Lock()
        self._used: set[int] = set()

    def note(self, key_id: int) -> None:
        """A key was used: from any thread, without waiting for the database."""
        with self._lock:
            self._used.add(key_id)

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[None]:
        """Write in the background once a minute, and at the end."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._write_until(stop))
        try:
            yield
        finally:
            # Not cancelled: a thread would go on, with a connection that is then closed.
            stop.set()
            await task

    async def _write_until(self, stop: asyncio.Event) -> None:
        while not await is_set_within(stop, WRITE_EVERY_S):
            await run_in_threadpool(self._write)
        await run_in_threadpool(self._write)

    def _write(self) -> None:
        with self._lock:
            used, self._used = self._used, set()
        if not used:
            return
        try:
            with self._database.write() as session:
                record_use(session, used, self._clock())
        except MarketlensError as error:
            log.warning("When keys were used is written later: %s", error)
            with self._lock:
                self._used |= used
