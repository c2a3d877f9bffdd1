"""Wakes requests that wait for a job, when it has ended."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from fastapi.concurrency import run_in_threadpool
from redis.asyncio import Redis
from redis.exceptions import RedisError

from db import jobs
from db.session import Database
from models.domain.errors import Unavailable
from workers.queue.announcements import CHANNEL, redis_url

log = logging.getLogger(__name__)

ASK_EVERY_S: Final = 1.0
"""How often the database is asked although announcements are received: one may be lost."""
ASK_ALONE_EVERY_S: Final = 0.1
"""How often it is asked while the broker can't be reached."""
RECONNECT_AFTER_S: Final = 1.0
CONNECT_TIMEOUT_S: Final = 3.0


class EndedJobs:
    """Listens to announcements once for all requests of this process that wait.

    Whatever is not announced is found by one query for all of them. `listening` is entered by the
    application; `waiting_for` is used by requests in the same event loop.
    """

    def __init__(self, broker_url: str, database: Database) -> None:
        self._broker_url = redis_url(broker_url)
        self._database = database
        self._waiting: dict[UUID, list[asyncio.Event]] = {}
        self._is_told = False

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        """Listen in the background."""
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._ask())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @asynccontextmanager
    async def waiting_for(self, job_id: UUID) -> AsyncGenerator[asyncio.Event]:
        """An event that is set when the job may have ended, once this was entered."""
        event = asyncio.Event()
        events = self._waiting.setdefault(job_id, [])
        events.append(event)
        try:
            yield event
        finally:
            events.remove(event)
            if not events:
                self._waiting.pop(job_id, None)

    def wake(self, job_ids: Iterable[UUID]) -> None:
        """Set the events of these jobs."""
        for job_id in job_ids:
            for event in self._waiting.get(job_id, ()):
                event.set()

    async def _listen(self) -> None:
        """Receive announcements; connect again when the connection is lost."""
        while True:
            try:
                await self._receive()
            except (RedisError, OSError):
                log.debug("the broker can't be listened to, the database is asked instead")
            except Exception:
                log.exception("an announcement can't be read")
            self._is_told = False
            await asyncio.sleep(RECONNECT_AFTER_S)

    async def _receive(self) -> None:
        client = Redis.from_url(
            self._broker_url, socket_connect_timeout=CONNECT_TIMEOUT_S, health_check_interval=25
        )
        async with client, client.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(CHANNEL)
            self._is_told = True
            while True:
                message = await channel.get_message(timeout=None)
                if message is not None:
                    self.wake(map(UUID, message["data"].decode().split()))

    async def _ask(self) -> None:
        """Ask the database for the jobs that are waited for, all at once."""
        while True:
            await asyncio.sleep(ASK_EVERY_S if self._is_told else ASK_ALONE_EVERY_S)
            if self._waiting:
                try:
                    self.wake(await run_in_threadpool(self._ended_among, list(self._waiting)))
                except Unavailable as error:
                    log.warning("the database can't be asked for ended jobs: %s", error)
                except Exception:  # those who wait must not be forgotten
                    log.exception("the database can't be asked for ended jobs")

    def _ended_among(self, job_ids: list[UUID]) -> list[UUID]:
        with self._database.read() as session:
            return jobs.ended_among(session, job_ids)
