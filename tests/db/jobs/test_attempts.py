"""Only the owner of the current attempt can do anything with a job, and it ends once."""

import pytest

from db.jobs import attempts, claiming, reading, relaying
from db.jobs.attempts import ClaimLost
from db.session import Database
from models.domain.types import JobStatus, JobType
from tests.support.clock import Clock
from tests.support.jobs import LEASE, accept, claim, finish, status
from tests.support.payloads import NOTHING_EMBEDDED, some_payload


def test_life_of_a_job(any_database: Database, clock: Clock) -> None:
    job_id = accept(any_database, clock(), total=3)
    assert status(any_database, job_id) is JobStatus.QUEUED
    owned = claim(any_database, job_id, clock())
    assert (owned.attempt, owned.payload) == (1, some_payload(JobType.EMBED))
    with any_database.write() as session:
        finish(session, owned, clock, done=3)
    with any_database.read() as session:
        job = reading.get(session, job_id)
    assert (job.status, job.result, job.done) == (
        JobStatus.SUCCEEDED,
        NOTHING_EMBEDDED.to_json(),
        3,
    )
    assert job.finished_at == clock()


def test_an_attempt_that_outlived_its_lease_can_not_finish(
    any_database: Database, clock: Clock
) -> None:
    job_id = accept(any_database, clock())
    frozen = claim(any_database, job_id, clock())
    clock.advance(seconds=61)
    successor = claim(any_database, job_id, clock())
    assert successor.attempt == 2
    with pytest.raises(ClaimLost), any_database.write() as session:
        finish(session, frozen, clock)
    assert status(any_database, job_id) is JobStatus.RUNNING
    with any_database.write() as session:
        finish(session, successor, clock)


def test_heartbeat_keeps_a_job(any_database: Database, clock: Clock) -> None:
    job_id = accept(any_database, clock())
    owned = claim(any_database, job_id, clock())
    clock.advance(seconds=50)
    with any_database.write() as session:
        attempts.heartbeat(session, owned, clock(), LEASE, done=7, total=9)
    clock.advance(seconds=50)
    with any_database.write() as session:
        assert claiming.claim(session, job_id, clock(), LEASE) is None
        assert not relaying.any_expired(session, clock())
        job = reading.get(session, job_id)
        assert (job.done, job.total) == (7, 9)


def test_a_failed_attempt_that_may_pass_is_tried_again_then_given_up(
    any_database: Database, clock: Clock
) -> None:
    job_id = accept(any_database, clock())
    for expected in (JobStatus.QUEUED, JobStatus.FAILED):
        owned = claim(any_database, job_id, clock())
        with any_database.write() as session:
            attempts.retry_later(session, owned, clock(), max_attempts=2, reason="Because.")
        assert status(any_database, job_id) is expected
