"""Adds up what the API's processes have counted, in Redis and in the background.

No request waits for it: where Redis is away, frozen or full, each process goes on by what it has
counted itself, and tells the others once they can be told.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import time
from typing import Final

from fastapi.concurrency import run_in_threadpool
from limits.aio.storage import RedisStorage
from redis.exceptions import RedisError

from api.jobs.waiting import is_set_within
from api.limits.limiter import RateLimiter, Window
from models.domain.errors import MarketlensError
from workers.queue.broker import Broker

log = logging.getLogger(__name__)

SHARE_EVERY_S: Final = 0.5
"""A caller is found over its rate by all processes so much later at most."""
TIMEOUT_S: Final = 1.0
RETRY_AFTER_S: Final = 5.0


class SharedCounts:
    """The counts of all processes. `sharing` is entered by the application."""

    def __init__(self, broker: Broker, limiter: RateLimiter) -> None:
        self._broker = broker
        self._limiter = limiter
        self._is_away = False

    @asynccontextmanager
    async def sharing(self) -> AsyncGenerator[None]:
        """Share in the background."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._share(stop))
        try:
            yield
        finally:
            # Not cancelled: the prefix is read in a thread, with a connection that is then closed.
            stop.set()
            await task

    async def _share(self, stop: asyncio.Event) -> None:
        storage: RedisStorage | None = None
        pause_s = SHARE_EVERY_S
        while not await is_set_within(stop, pause_s):
            due = self._limiter.due()
            if not due:
                continue
            try:
                storage = storage or await self._storage()
                async with asyncio.timeout(TIMEOUT_S):
                    await self._exchange(storage, due)
            except (RedisError, OSError, TimeoutError, MarketlensError) as error:
                self._note_away(error)
                self._limiter.postpone(due)
                pause_s = RETRY_AFTER_S
            else:
                self._is_away = False
                pause_s = SHARE_EVERY_S
        if storage is not None:
            await storage.bridge.get_connection().aclose()  # type: ignore[attr-defined] # of redis-py

    async def _storage(self) -> RedisStorage:
        prefix = await run_in_threadpool(lambda: self._broker.prefix)
        url = self._broker.redis_url
        scheme, _, rest = url.partition("://")
        return RedisStorage(
            f"async+{'redis+unix' if scheme == 'unix' else scheme}://{rest}",
            implementation="redispy",
            key_prefix=f"{prefix}rates",
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
        )

    async def _exchange(self, storage: RedisStorage, due: dict[str, Window]) -> None:
        """Add what was counted here to what all have, and take over that; what is done leaves."""
        clock = self._limiter.clock
        for at, window in list(due.items()):
            # What has ended while Redis was away is of no window that others count in.
            if window.ends_at > clock():
                # Sent once at most: a frozen Redis does later what it did not answer in time, and
                # nobody is to be refused for what was counted twice.
                sending, window.unsent = window.unsent, 0
                total = await storage.incr(at, window.item.get_expiry(), sending)
                left_s = await storage.get_expiry(at) - time()
                window.count = total + window.unsent
                window.ends_at = clock() + left_s
            del due[at]

    def _note_away(self, error: Exception) -> None:
        if not self._is_away:
            log.warning("each process limits rates by itself while Redis is away: %r", error)
        self._is_away = True
