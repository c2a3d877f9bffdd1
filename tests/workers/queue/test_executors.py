"""Jobs are handed to the queue's workers, and it is said when there are none."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from db import jobs
from db.consumption import record_consumption
from db.session import Database
from models.domain.types import JobType
from tests.support.clock import Clock
from tests.support.redis import empty, take_all
from workers.queue import executors as hands
from workers.queue.executors import Workers
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher


@pytest.fixture
def publisher(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobPublisher]:
    monkeypatch.setattr(hands, "POLL_EVERY_S", 0)
    empty(redis_url)
    made = JobPublisher(redis_url)
    yield made
    made.close()


def test_what_is_taken_is_in_the_queue(
    database: Database, clock: Clock, publisher: JobPublisher, redis_url: str
) -> None:
    with database.write() as session:
        job = jobs.accept(session, JobType.EMBED, {}, job_id=uuid4(), now=clock())
    Workers(database, publisher, clock, pytest.fail).take([job])
    assert take_all(redis_url, Queue.EMBED) == [str(job.id)]


def test_it_is_said_once_of_each_queue_that_nobody_takes_from(
    database: Database, clock: Clock, publisher: JobPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    workers = Workers(database, publisher, clock, said.append)
    with database.write() as session:
        record_consumption(session, Queue.INDEX, clock(), None)
    for _ in range(3):
        workers.wait(Queue.EMBED, [])
        workers.wait(Queue.INDEX, [])
    # They may only be starting.
    assert said == []
    monkeypatch.setattr(hands, "PATIENCE_S", 0)
    for _ in range(3):
        workers.wait(Queue.EMBED, [])
        workers.wait(Queue.INDEX, [])
    assert len(said) == 1
    assert "No embed worker" in said[0]
    clock.advance(minutes=5)
    for _ in range(3):
        workers.wait(Queue.INDEX, [])
    assert len(said) == 2


def test_a_worker_that_shows_up_again_is_given_time_again(
    database: Database, clock: Clock, publisher: JobPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hands, "PATIENCE_S", 60)
    now = 0.0
    monkeypatch.setattr(hands, "monotonic", lambda: now)
    workers = Workers(database, publisher, clock, pytest.fail)
    workers.wait(Queue.EMBED, [])
    with database.write() as session:
        record_consumption(session, Queue.EMBED, clock(), None)
    workers.wait(Queue.EMBED, [])
    now = 59.0
    clock.advance(minutes=5)
    workers.wait(Queue.EMBED, [])
    now = 61.0
    workers.wait(Queue.EMBED, [])
