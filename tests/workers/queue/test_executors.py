"""Jobs are handed to the queue's workers, and a person is told when there are none."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from db.consumption import record_consumption
from db.jobs import accepting, cancelling
from db.session import Database
from db.tables import Job
from models.domain.job_payloads import (
    AdaptPayload,
    DuplicatesPayload,
    EmbedPayload,
    JobPayload,
    ReindexPayload,
)
from models.domain.types import JobType
from tests.support.clock import Clock
from tests.support.redis import broker_at, empty, take_all
from workers.queue import executors
from workers.queue.executors import HeldQueueExecutor, QueueExecutor
from workers.queue.messages import PublishableJob, Queue
from workers.queue.publisher import JobPublisher


@pytest.fixture
def publisher(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobPublisher]:
    monkeypatch.setattr(executors, "POLL_EVERY_S", 0)
    empty(redis_url)
    made = JobPublisher(broker_at(redis_url))
    yield made
    made.close()


def test_what_is_submitted_is_in_the_queue(
    database: Database, clock: Clock, publisher: JobPublisher, redis_url: str
) -> None:
    with database.write() as session:
        job = accepting.accept(session, EmbedPayload(photo_ids=()), job_id=uuid4(), now=clock())
    QueueExecutor(database, publisher, clock, pytest.fail).submit([job])
    assert take_all(redis_url, Queue.EMBED) == [str(job.id)]


def test_a_broker_that_does_not_answer_is_left_alone_for_a_while(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 0.0
    monkeypatch.setattr(executors, "monotonic", lambda: seconds)
    publisher = JobPublisher(broker_at(f"redis+socket://{tmp_path}/nobody.sock"))
    tried = 0
    publish = publisher.publish

    def counted(accepted: Sequence[PublishableJob]) -> list[UUID]:
        nonlocal tried
        tried += 1
        return publish(accepted)

    monkeypatch.setattr(publisher, "publish", counted)
    with database.write() as session:
        job = accepting.accept(session, EmbedPayload(photo_ids=()), job_id=uuid4(), now=clock())
    executor = QueueExecutor(database, publisher, clock, pytest.fail)
    for _ in range(3):
        executor.submit([job])
    assert tried == 1
    seconds = executors.BROKER_PAUSE_S
    executor.submit([job])
    assert tried == 2
    publisher.close()


@pytest.mark.parametrize(("consumed", "told"), [(None, 1), ("embed", 0), ("index", 1)])
def test_it_is_said_once_when_nobody_takes_the_work(
    database: Database,
    clock: Clock,
    publisher: JobPublisher,
    monkeypatch: pytest.MonkeyPatch,
    consumed: str | None,
    told: int,
) -> None:
    monkeypatch.setattr(executors, "UNCONSUMED_AFTER_S", 0)
    if consumed:
        with database.write() as session:
            record_consumption(session, consumed, clock(), None)
    said: list[str] = []
    executor = QueueExecutor(database, publisher, clock, said.append)
    for _ in range(5):
        executor.step(Queue.EMBED, [])
    assert len(said) == told


def test_it_is_said_once_of_each_queue_that_nobody_takes_from(
    database: Database, clock: Clock, publisher: JobPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    executor = QueueExecutor(database, publisher, clock, said.append)
    with database.write() as session:
        record_consumption(session, Queue.INDEX, clock(), None)
    for _ in range(3):
        executor.step(Queue.EMBED, [])
        executor.step(Queue.INDEX, [])
    # They may only be starting.
    assert said == []
    monkeypatch.setattr(executors, "UNCONSUMED_AFTER_S", 0)
    for _ in range(3):
        executor.step(Queue.EMBED, [])
        executor.step(Queue.INDEX, [])
    assert len(said) == 1
    assert "No embed worker" in said[0]
    clock.advance(minutes=5)
    for _ in range(3):
        executor.step(Queue.INDEX, [])
    assert len(said) == 2


def test_a_worker_that_is_seen_again_is_given_time_again(
    database: Database, clock: Clock, publisher: JobPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "UNCONSUMED_AFTER_S", 60)
    now = 0.0
    monkeypatch.setattr(executors, "monotonic", lambda: now)
    executor = QueueExecutor(database, publisher, clock, pytest.fail)
    executor.step(Queue.EMBED, [])
    with database.write() as session:
        record_consumption(session, Queue.EMBED, clock(), None)
    executor.step(Queue.EMBED, [])
    now = 59.0
    clock.advance(minutes=5)
    executor.step(Queue.EMBED, [])
    now = 61.0
    executor.step(Queue.EMBED, [])


def test_within_a_job_the_others_of_its_queue_are_done_and_those_of_others_published(
    database: Database, clock: Clock, publisher: JobPublisher, redis_url: str
) -> None:
    def accept(payload: JobPayload) -> Job:
        with database.write() as session:
            return accepting.accept(session, payload, job_id=uuid4(), now=clock())

    done: list[UUID] = []

    def run_job(job_id: UUID) -> None:
        done.append(job_id)
        with database.write() as session:
            cancelling.cancel(session, job_id, clock())

    held = HeldQueueExecutor(database, Queue.INDEX, run_job, publisher, clock, but=[JobType.ADAPT])
    embed, build = accept(EmbedPayload(photo_ids=())), accept(ReindexPayload())
    asked_by_another = accept(DuplicatesPayload())
    accept(AdaptPayload())
    held.submit([embed, build])
    assert take_all(redis_url, Queue.EMBED) == [str(embed.id)]
    assert take_all(redis_url, Queue.INDEX) == []
    for _ in range(3):
        held.step(Queue.EMBED, [embed.id])
    assert {*done} == {build.id, asked_by_another.id}
