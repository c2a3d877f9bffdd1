"""Wakes requests that wait for a job, when it has ended, and reads what they have waited for."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from fastapi.concurrency import run_in_threadpool
from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.jobs.waiting import is_set_within
from db.jobs import reading
from db.session import Database
from db.tables import Job
from models.domain.errors import NotFound, Unavailable
from workers.queue.announcements import channel_of
from workers.queue.broker import Broker

log = logging.getLogger(__name__)

ASK_EVERY_S: Final = 1.0
"""How often the database is asked although announcements are received: one may be lost."""
ASK_ALONE_EVERY_S: Final = 0.1
"""How often it is asked while the broker can't be reached."""
RECONNECT_AFTER_S: Final = 1.0
CONNECT_TIMEOUT_S: Final = 3.0
REMEMBERED: Final = 10_000
"""Announced jobs that are remembered: one may end before its request waits for it."""


class EndedJobs:
    """Listens to announcements once for all requests of this process that wait.

    Whatever is not announced is found by one query for all of them, and those who are woken at the
    same moment share a query. `listening` is entered by the application; `waiting_for` and `read`
    are used by requests in the same event loop.
    """

    def __init__(self, broker: Broker, database: Database) -> None:
        self._broker = broker
        self._database = database
        self._waiting: dict[UUID, list[asyncio.Event]] = {}
        self._announced: OrderedDict[UUID, None] = OrderedDict()
        self._is_told = False
        self._are_not_awaited = False
        self._reads: dict[UUID, asyncio.Future[Job]] = {}
        self._reading: set[asyncio.Task[None] | asyncio.Task[str]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        """Listen in the background."""
        stop = asyncio.Event()
        listener, asker = asyncio.create_task(self._listen()), asyncio.create_task(self._ask(stop))
        try:
            yield
        finally:
            listener.cancel()
            # Not cancelled: threads would go on, with connections that are then closed.
            stop.set()
            await asyncio.gather(listener, asker, *self._reading, return_exceptions=True)

    @asynccontextmanager
    async def waiting_for(self, job_id: UUID) -> AsyncGenerator[asyncio.Event]:
        """An event that is set when the job may have ended, now or later."""
        event = asyncio.Event()
        if job_id in self._announced:
            event.set()
        events = self._waiting.setdefault(job_id, [])
        events.append(event)
        try:
            yield event
        finally:
            events.remove(event)
            if not events:
                self._waiting.pop(job_id, None)

    @property
    def are_not_awaited(self) -> bool:
        """Whether nobody is to wait any longer, as the process is about to stop."""
        return self._are_not_awaited

    def let_go(self) -> None:
        """Have all who wait answer with their jobs as they are."""
        self._are_not_awaited = True
        self.wake(list(self._waiting))

    def wake(self, job_ids: Iterable[UUID]) -> None:
        """Set the events of these jobs."""
        for job_id in job_ids:
            for event in self._waiting.get(job_id, ()):
                event.set()

    async def read(self, job_id: UUID) -> Job:
        """The job as it is now. Raises NotFound, and Unavailable."""
        read = self._reads.get(job_id)
        if read is None:
            if not self._reads:
                # Once all that are woken by the same announcement have asked.
                asyncio.get_running_loop().call_soon(self._begin_reading)
            read = self._reads[job_id] = asyncio.get_running_loop().create_future()
        # Another request may wait for it as well, when this one is cancelled.
        return await asyncio.shield(read)

    def _begin_reading(self) -> None:
        reads, self._reads = self._reads, {}
        task = asyncio.create_task(self._read_all(reads))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read_all(self, reads: dict[UUID, asyncio.Future[Job]]) -> None:
        try:
            found = await run_in_threadpool(self._found_among, list(reads))
        except Exception as error:  # noqa: BLE001 - it is raised for each who asked
            for read in reads.values():
                read.set_exception(error)
        else:
            for job_id, read in reads.items():
                if job_id in found:
                    read.set_result(found[job_id])
                else:
                    read.set_exception(NotFound("There is no such job."))

    def _found_among(self, job_ids: list[UUID]) -> dict[UUID, Job]:
        with self._database.read() as session:
            return reading.among(session, job_ids)

    async def _listen(self) -> None:
        """Receive announcements; connect again when the connection is lost."""
        while True:
            try:
                await self._receive()
            except (RedisError, OSError, Unavailable):
                log.debug("the broker can't be listened to, the database is asked instead")
            except Exception:
                log.exception("an announcement can't be read")
            self._is_told = False
            await asyncio.sleep(RECONNECT_AFTER_S)

    async def _receive(self) -> None:
        name = await self._channel()
        client = Redis.from_url(
            self._broker.redis_url,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            health_check_interval=25,
        )
        async with client, client.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(name)
            self._is_told = True
            while True:
                message = await channel.get_message(timeout=None)
                if message is not None:
                    self._remember_and_wake(list(map(UUID, message["data"].decode().split())))

    async def _channel(self) -> str:
        """Where announcements are received. Not cancelled: its thread would go on."""
        asking = asyncio.create_task(run_in_threadpool(channel_of, self._broker))
        self._reading.add(asking)
        asking.add_done_callback(self._reading.discard)
        return await asyncio.shield(asking)

    def _remember_and_wake(self, job_ids: list[UUID]) -> None:
        self._announced |= dict.fromkeys(job_ids)
        while len(self._announced) > REMEMBERED:
            self._announced.popitem(last=False)
        self.wake(job_ids)

    async def _ask(self, stop: asyncio.Event) -> None:
        """Ask the database for the jobs that are waited for, all at once."""
        while not await is_set_within(stop, ASK_EVERY_S if self._is_told else ASK_ALONE_EVERY_S):
            if self._waiting:
                try:
                    self.wake(await run_in_threadpool(self._ended_among, list(self._waiting)))
                except Unavailable as error:
                    log.warning("the database can't be asked for ended jobs: %s", error)
                except Exception:  # those who wait must not be forgotten
                    log.exception("the database can't be asked for ended jobs")

    def _ended_among(self, job_ids: list[UUID]) -> list[UUID]:
        with self._database.read() as session:
            return reading.ended_among(session, job_ids)
