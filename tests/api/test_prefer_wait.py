"""A request that waits is answered when its job has ended, with and without the broker."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from redis.asyncio import Redis
from sqlalchemy.orm import Session

from api.jobs import ended_jobs
from db.jobs import accepting, cancelling, reading
from db.session import Database
from db.tables import Job
from models.domain.clock import utc_now
from models.domain.errors import NotFound
from models.domain.job_payloads import EmbedPayload
from models.domain.types import JobStatus, JobType
from tests.support.http import MakeClient, submit_photo
from tests.support.redis import broker_at
from tests.support.waiting import wait_until
from workers.queue.announcements import Announcer, channel_of
from workers.queue.broker import Broker

NEVER_S = 1_000.0
WAIT_S = 20


@pytest.fixture
def submit() -> Callable[[TestClient], Future[Response]]:
    """Submits a search that waits, in a thread of its own."""
    threads = ThreadPoolExecutor(4)

    def submitted(client: TestClient) -> Future[Response]:
        headers = {"Prefer": f"wait={WAIT_S}"}
        return threads.submit(submit_photo, client, "search", headers=headers)

    return submitted


def accepted(database: Database) -> Job:
    """The job that the request waits for."""

    def newest() -> Job | None:
        with database.read() as session:
            return reading.newest(session, JobType.SEARCH)

    wait_until(newest, WAIT_S)
    job = newest()
    assert job
    return job


def end(database: Database, job_id: UUID) -> None:
    with database.write() as session:
        cancelling.cancel(session, job_id, datetime.now(UTC))


def assert_ended_soon(answer: Future[Response]) -> None:
    begun = monotonic()
    response = answer.result(timeout=WAIT_S)
    assert response.status_code == 200
    assert response.json()["status"] == JobStatus.CANCELLED
    assert monotonic() - begun < WAIT_S / 2


def test_an_announcement_is_enough(
    make_client: MakeClient,
    database: Database,
    redis_url: str,
    submit: Callable[[TestClient], Future[Response]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ended_jobs, "ASK_EVERY_S", NEVER_S)
    monkeypatch.setattr(ended_jobs, "ASK_ALONE_EVERY_S", NEVER_S)
    answer = submit(make_client(redis_url=redis_url))
    job = accepted(database)
    sleep(0.2)  # it has read the job by then, and waits
    announcer = Announcer(Broker(redis_url, database))
    # An attempt has ended, and the job has not.
    announcer.announce([job.id])
    sleep(0.2)
    assert not answer.done()
    end(database, job.id)
    announcer.announce([UUID(int=0), job.id])
    assert_ended_soon(answer)
    announcer.close()


def test_what_can_not_be_read_or_asked_ends_no_waiting(
    redis_url: str,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("RECONNECT_AFTER_S", "ASK_EVERY_S", "ASK_ALONE_EVERY_S"):
        monkeypatch.setattr(ended_jobs, name, 0.01)
    asked: list[UUID] = []
    job_id = UUID(int=7)

    def break_down(_: object, ids: list[UUID]) -> list[UUID]:
        asked.extend(ids)
        raise RuntimeError("it is broken")

    async def told_all_the_same() -> None:
        waiting = ended_jobs.EndedJobs(Broker(redis_url, database), database)
        place = Broker(redis_url, database)
        broker, channel = Redis.from_url(place.redis_url), channel_of(place)
        async with broker, waiting.listening(), waiting.waiting_for(job_id) as told:
            while not await broker.publish(channel, "of another release") or len(asked) < 2:
                await asyncio.sleep(0.01)
            while not told.is_set():
                await broker.publish(channel, str(job_id))
                await asyncio.sleep(0.01)

    monkeypatch.setattr(reading, "ended_among", break_down)
    asyncio.run(asyncio.wait_for(told_all_the_same(), WAIT_S))
    assert asked[:2] == [job_id] * 2


def test_what_was_announced_before_is_not_waited_for(
    redis_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_jobs, "ASK_EVERY_S", NEVER_S)
    monkeypatch.setattr(ended_jobs, "ASK_ALONE_EVERY_S", NEVER_S)
    monkeypatch.setattr(ended_jobs, "REMEMBERED", 2)

    async def announced_first() -> None:
        waiting = ended_jobs.EndedJobs(Broker(redis_url, database), database)
        place = Broker(redis_url, database)
        broker, channel = Redis.from_url(place.redis_url), channel_of(place)
        async with broker, waiting.listening():
            async with waiting.waiting_for(UUID(int=3)) as told:
                while not told.is_set():
                    await broker.publish(channel, " ".join(str(UUID(int=n)) for n in (1, 2, 3)))
                    await asyncio.sleep(0.01)
            for number, is_remembered in ((1, False), (2, True), (3, True)):
                async with waiting.waiting_for(UUID(int=number)) as told:
                    assert told.is_set() is is_remembered

    asyncio.run(asyncio.wait_for(announced_first(), WAIT_S))


def test_those_who_are_woken_together_share_a_query(
    redis_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as session:
        made = [
            accepting.accept(
                session, EmbedPayload(photo_ids=(1,)), job_id=uuid4(), now=utc_now()
            ).id
            for _ in range(3)
        ]
    asked: list[list[UUID]] = []
    among = reading.among

    def counted(session: Session, job_ids: list[UUID]) -> dict[UUID, Job]:
        asked.append(job_ids)
        return among(session, job_ids)

    async def read_together() -> list[Job | BaseException]:
        waiting = ended_jobs.EndedJobs(Broker(redis_url, database), database)
        wanted = [*made, made[0], UUID(int=7)]
        return await asyncio.gather(*map(waiting.read, wanted), return_exceptions=True)

    monkeypatch.setattr(reading, "among", counted)
    *found, unknown = asyncio.run(asyncio.wait_for(read_together(), WAIT_S))
    assert [job.id for job in found if isinstance(job, Job)] == [*made, made[0]]
    assert isinstance(unknown, NotFound)
    assert [set(some) for some in asked] == [{*made, UUID(int=7)}]


def test_without_a_broker_the_database_is_asked(
    client: TestClient, database: Database, submit: Callable[[TestClient], Future[Response]]
) -> None:
    answer = submit(client)
    end(database, accepted(database).id)
    assert_ended_soon(answer)


def test_an_announcement_that_was_lost_is_made_up_for(
    make_client: MakeClient,
    database: Database,
    redis_url: str,
    submit: Callable[[TestClient], Future[Response]],
) -> None:
    answer = submit(make_client(redis_url=redis_url))
    end(database, accepted(database).id)
    assert_ended_soon(answer)


def test_a_broker_that_comes_back_is_listened_to_again(
    redis_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_jobs, "RECONNECT_AFTER_S", 0.01)
    monkeypatch.setattr(ended_jobs, "ASK_EVERY_S", NEVER_S)
    monkeypatch.setattr(ended_jobs, "ASK_ALONE_EVERY_S", NEVER_S)
    job_id = UUID(int=7)

    async def lost_and_found() -> None:
        waiting = ended_jobs.EndedJobs(Broker(redis_url, database), database)
        place = Broker(redis_url, database)
        broker, channel = Redis.from_url(place.redis_url), channel_of(place)
        async with broker, waiting.listening(), waiting.waiting_for(job_id) as told:
            for _ in range(2):
                told.clear()
                while not told.is_set():
                    await broker.publish(channel, str(job_id))
                    await asyncio.sleep(0.01)
                await broker.client_kill_filter(_type="pubsub")

    asyncio.run(asyncio.wait_for(lost_and_found(), WAIT_S))


def test_a_broker_that_is_away_costs_one_try_in_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    announcer = Announcer(broker_at(f"redis+socket://{tmp_path}/nobody.sock"))
    for _ in range(3):
        announcer.announce([UUID(int=1)])
    assert len(caplog.records) == 1
    announcer.close()
