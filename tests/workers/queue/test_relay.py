"""The relay publishes what no worker got, on a real Redis."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from db.jobs import accepting, cancelling, claiming, reading
from db.session import Database
from models.domain.types import JobStatus, JobType
from tests.support.clock import Clock
from tests.support.payloads import some_payload
from tests.support.redis import broker_at, empty, take_all
from tests.support.waiting import OneRound
from tests.support.workers import LEASE
from workers.queue import relay
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher
from workers.queue.relay import publish_due_jobs, run_relay


@pytest.fixture
def publisher(redis_url: str) -> Iterator[JobPublisher]:
    empty(redis_url)
    made = JobPublisher(broker_at(redis_url))
    yield made
    made.close()


def accept(database: Database, clock: Clock, job_type: JobType = JobType.EMBED) -> UUID:
    with database.write() as session:
        return accepting.accept(session, some_payload(job_type), job_id=uuid4(), now=clock()).id


def test_committed_but_never_published(
    database: Database, clock: Clock, publisher: JobPublisher, redis_url: str
) -> None:
    embed, search = accept(database, clock), accept(database, clock, JobType.SEARCH)
    assert publish_due_jobs(database, publisher, clock, max_attempts=3) == 0
    clock.advance(seconds=6)
    assert publish_due_jobs(database, publisher, clock, max_attempts=3) == 2
    assert take_all(redis_url, Queue.EMBED) == [str(embed)]
    assert take_all(redis_url, Queue.SEARCH) == [str(search)]


def test_message_lost_on_the_way_is_sent_again(
    database: Database, clock: Clock, publisher: JobPublisher, redis_url: str
) -> None:
    job_id = accept(database, clock)
    clock.advance(seconds=6)
    publish_due_jobs(database, publisher, clock, max_attempts=3)
    assert take_all(redis_url, Queue.EMBED) == [str(job_id)]
    clock.advance(seconds=14)
    assert publish_due_jobs(database, publisher, clock, max_attempts=3) == 0
    clock.advance(seconds=2)
    assert publish_due_jobs(database, publisher, clock, max_attempts=3) == 1
    assert take_all(redis_url, Queue.EMBED) == [str(job_id)]


def test_a_long_queue_is_published_once(
    any_database: Database, clock: Clock, publisher: JobPublisher, redis_url: str
) -> None:
    """Two minutes, of whose first half nobody takes a message."""
    waiting = {str(accept(any_database, clock)) for _ in range(30)}
    waiting |= {str(accept(any_database, clock, JobType.SEARCH)) for _ in range(30)}
    for _ in range(60):
        clock.advance(seconds=1)
        publish_due_jobs(any_database, publisher, clock, max_attempts=3)
    embeds, searches = take_all(redis_url, Queue.EMBED), take_all(redis_url, Queue.SEARCH)
    assert len(embeds) == 30
    assert len(searches) == 1
    assert {*embeds, *searches} <= waiting
    # What a worker has taken without ever claiming the job is lost: it is published once more.
    for _ in range(60):
        clock.advance(seconds=1)
        publish_due_jobs(any_database, publisher, clock, max_attempts=3)
    assert sorted(take_all(redis_url, Queue.EMBED)) == sorted(embeds)
    assert len(take_all(redis_url, Queue.SEARCH)) == 1


def test_only_what_is_lost_is_published_again(
    database: Database, clock: Clock, publisher: JobPublisher, redis_url: str
) -> None:
    first = accept(database, clock)
    clock.advance(seconds=6)
    publish_due_jobs(database, publisher, clock, max_attempts=3)
    assert take_all(redis_url, Queue.EMBED) == [str(first)]
    second = accept(database, clock)
    clock.advance(seconds=6)
    publish_due_jobs(database, publisher, clock, max_attempts=3)
    clock.advance(seconds=15)
    assert publish_due_jobs(database, publisher, clock, max_attempts=3) == 1
    assert take_all(redis_url, Queue.EMBED) == [str(second), str(first)]


def test_an_emptied_broker_has_all_messages_again_at_once(
    any_database: Database, clock: Clock, publisher: JobPublisher, redis_url: str
) -> None:
    embeds = [str(accept(any_database, clock)) for _ in range(5)]
    clock.advance(seconds=6)
    assert publish_due_jobs(any_database, publisher, clock, max_attempts=3) == 5
    empty(redis_url)
    assert publish_due_jobs(any_database, publisher, clock, max_attempts=3) == 5
    assert publish_due_jobs(any_database, publisher, clock, max_attempts=3) == 0
    assert sorted(take_all(redis_url, Queue.EMBED)) == sorted(embeds)


def test_probes_do_not_pile_up(
    database: Database, clock: Clock, publisher: JobPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "NO_PROBE_FROM", 3)
    for _ in range(6):
        run_relay(database, publisher, clock, 3, OneRound(), auto_reindex=False)
    assert [publisher.waiting.length(queue) for queue in Queue] == [3, 3, 3]


def test_job_of_a_dead_worker_goes_to_another_at_once(
    database: Database, clock: Clock, publisher: JobPublisher, redis_url: str
) -> None:
    job_id = accept(database, clock)
    with database.write() as session:
        claiming.claim(session, job_id, clock(), LEASE)
    clock.advance(seconds=61)
    assert publish_due_jobs(database, publisher, clock, max_attempts=3) == 1
    assert take_all(redis_url, Queue.EMBED) == [str(job_id)]
    with database.read() as session:
        assert reading.get(session, job_id).status is JobStatus.QUEUED


def test_ended_jobs_are_left_alone(
    database: Database, clock: Clock, publisher: JobPublisher
) -> None:
    job_id = accept(database, clock)
    with database.write() as session:
        cancelling.cancel(session, job_id, clock())
    clock.advance(hours=1)
    assert publish_due_jobs(database, publisher, clock, max_attempts=3) == 0


def test_broker_away_costs_time_not_work(
    database: Database, clock: Clock, publisher: JobPublisher, redis_url: str, tmp_path: Path
) -> None:
    job_id = accept(database, clock)
    clock.advance(seconds=6)
    nobody = JobPublisher(broker_at(f"redis+socket://{tmp_path}/nobody.sock"))
    assert publish_due_jobs(database, nobody, clock, max_attempts=3) == 0
    assert publish_due_jobs(database, publisher, clock, max_attempts=3) == 1
    assert take_all(redis_url, Queue.EMBED) == [str(job_id)]
