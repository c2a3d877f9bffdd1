"""A job is accepted once, owned by one attempt at a time, and ends once."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.orm import Session

from db import jobs
from db.jobs import Claim, ClaimLost
from db.session import Database
from models.domain.errors import Conflict, NotFound, ReindexRunning
from models.domain.job_results import BatchResult
from models.domain.types import JobStatus, JobType
from tests.support.clock import Clock
from tests.support.payloads import NOTHING_EMBEDDED, some_payload

LEASE = timedelta(seconds=60)


def accept(
    database: Database, now: datetime, job_type: JobType = JobType.EMBED, **given: Any
) -> UUID:
    with database.write() as session:
        return jobs.accept(session, some_payload(job_type), job_id=uuid4(), now=now, **given).id


def claim(database: Database, job_id: UUID, now: datetime) -> Claim:
    with database.write() as session:
        owned = jobs.claim(session, job_id, now, LEASE)
    assert owned is not None
    return owned


def status(database: Database, job_id: UUID) -> JobStatus:
    with database.read() as session:
        return jobs.get(session, job_id).status


def finish(session: Session, owned: Claim, clock: Clock, **given: Any) -> None:
    jobs.finish(session, owned, clock(), result=NOTHING_EMBEDDED, **given)


def test_life_of_a_job(any_database: Database, clock: Clock) -> None:
    job_id = accept(any_database, clock(), total=3)
    assert status(any_database, job_id) is JobStatus.QUEUED
    owned = claim(any_database, job_id, clock())
    assert (owned.attempt, owned.payload) == (1, some_payload(JobType.EMBED))
    with any_database.write() as session:
        finish(session, owned, clock, done=3)
    with any_database.read() as session:
        job = jobs.get(session, job_id)
    assert (job.status, job.result, job.done) == (
        JobStatus.SUCCEEDED,
        NOTHING_EMBEDDED.to_json(),
        3,
    )
    assert job.finished_at == clock()


def test_one_message_delivered_fifty_times_is_claimed_once(
    any_database: Database, clock: Clock
) -> None:
    job_id = accept(any_database, clock())
    with any_database.write() as session:
        claims = [jobs.claim(session, job_id, clock(), LEASE) for _ in range(50)]
    assert [owned is not None for owned in claims] == [True] + [False] * 49


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
        jobs.heartbeat(session, owned, clock(), LEASE, done=7, total=9)
    clock.advance(seconds=50)
    with any_database.write() as session:
        assert jobs.claim(session, job_id, clock(), LEASE) is None
        assert not jobs.any_expired(session, clock())
        job = jobs.get(session, job_id)
        assert (job.done, job.total) == (7, 9)


def test_expired_jobs_are_queued_again_until_their_attempts_are_used_up(
    any_database: Database, clock: Clock
) -> None:
    job_id = accept(any_database, clock())
    for attempt in (1, 2):
        assert claim(any_database, job_id, clock()).attempt == attempt
        clock.advance(seconds=61)
        with any_database.write() as session:
            assert jobs.any_expired(session, clock())
            assert jobs.release_expired(session, clock(), max_attempts=2) == 1
    with any_database.read() as session:
        job = jobs.get(session, job_id)
        assert (job.status, job.error_code) == (JobStatus.FAILED, "attempts_exhausted")
        assert not jobs.any_expired(session, clock())


def test_unpublished_jobs_come_due_and_wait_longer_each_time(
    any_database: Database, clock: Clock
) -> None:
    job_id = accept(any_database, clock())

    def due() -> list[UUID]:
        with any_database.read() as session:
            return [job.id for job in jobs.due_for_publishing(session, clock(), 10)]

    assert due() == []
    clock.advance(seconds=6)
    for wait_s in (15, 30, 60):
        assert due() == [job_id]
        with any_database.write() as session:
            jobs.mark_published(session, [job_id], clock())
        clock.advance(seconds=wait_s - 1)
        assert due() == []
        clock.advance(seconds=1)


def test_a_failed_attempt_that_may_pass_is_tried_again_then_given_up(
    any_database: Database, clock: Clock
) -> None:
    job_id = accept(any_database, clock())
    for expected in (JobStatus.QUEUED, JobStatus.FAILED):
        owned = claim(any_database, job_id, clock())
        with any_database.write() as session:
            jobs.retry_later(session, owned, clock(), max_attempts=2, reason="Because.")
        assert status(any_database, job_id) is expected


def test_a_cancelled_job_takes_no_result(any_database: Database, clock: Clock) -> None:
    job_id = accept(any_database, clock())
    owned = claim(any_database, job_id, clock())
    with any_database.write() as session:
        jobs.cancel(session, job_id, clock())
    with pytest.raises(ClaimLost), any_database.write() as session:
        finish(session, owned, clock)
    assert status(any_database, job_id) is JobStatus.CANCELLED


def test_cancelling_an_ended_job_changes_nothing(any_database: Database, clock: Clock) -> None:
    job_id = accept(any_database, clock())
    owned = claim(any_database, job_id, clock())
    with any_database.write() as session:
        finish(session, owned, clock)
    with any_database.write() as session:
        assert jobs.cancel(session, job_id, clock()).status is JobStatus.SUCCEEDED


def test_retry_takes_ended_jobs_only(any_database: Database, clock: Clock) -> None:
    job_id = accept(any_database, clock())
    with pytest.raises(Conflict), any_database.write() as session:
        jobs.retry(session, job_id, clock())
    with any_database.write() as session:
        jobs.cancel(session, job_id, clock())
    with any_database.write() as session:
        jobs.retry(session, job_id, clock())
    assert claim(any_database, job_id, clock()).tries == 1


def test_a_worker_from_before_a_retry_can_not_finish(any_database: Database, clock: Clock) -> None:
    job_id = accept(any_database, clock())
    before = claim(any_database, job_id, clock())
    with any_database.write() as session:
        jobs.cancel(session, job_id, clock())
        jobs.retry(session, job_id, clock())
    owner = claim(any_database, job_id, clock())
    with pytest.raises(ClaimLost), any_database.write() as session:
        finish(session, before, clock)
    with any_database.write() as session:
        finish(session, owner, clock)


def test_a_retried_job_has_all_its_attempts_again(any_database: Database, clock: Clock) -> None:
    job_id = accept(any_database, clock())
    for _ in range(2):
        for expected in (JobStatus.QUEUED, JobStatus.FAILED):
            owned = claim(any_database, job_id, clock())
            with any_database.write() as session:
                jobs.retry_later(session, owned, clock(), max_attempts=2, reason="Because.")
            assert status(any_database, job_id) is expected
        with any_database.write() as session:
            jobs.retry(session, job_id, clock())


def test_a_batch_ends_anew_with_its_retried_child(any_database: Database, clock: Clock) -> None:
    parent_id, (child,) = batch(any_database, clock, [5])
    owned = claim(any_database, child, clock())
    with any_database.write() as session:
        jobs.fail(session, owned, clock(), code="broken", detail="broken")
    with any_database.write() as session:
        jobs.retry(session, child, clock())
    assert status(any_database, parent_id) is JobStatus.RUNNING
    owned = claim(any_database, child, clock())
    with any_database.write() as session:
        finish(session, owned, clock, done=5)
    with any_database.read() as session:
        parent = jobs.get(session, parent_id)
    assert (parent.status, parent.done, parent.failed) == (JobStatus.SUCCEEDED, 5, 0)
    assert parent.error_code is None


def test_one_reindex_at_a_time(any_database: Database, clock: Clock) -> None:
    first = accept(any_database, clock(), JobType.REINDEX)
    with pytest.raises(ReindexRunning):
        accept(any_database, clock(), JobType.REINDEX)
    owned = claim(any_database, first, clock())
    with pytest.raises(ReindexRunning):
        accept(any_database, clock(), JobType.REINDEX)
    with any_database.write() as session:
        finish(session, owned, clock)
    accept(any_database, clock(), JobType.REINDEX)


NO_ROWS = BatchResult(rows=0, accepted=0, listing_ids=(), errors=())


def batch(database: Database, clock: Clock, photos: list[int]) -> tuple[UUID, list[UUID]]:
    with database.write() as session:
        parent = jobs.accept_batch(session, NO_ROWS, job_id=uuid4(), now=clock(), total=sum(photos))
    children = [accept(database, clock(), total=total, parent_id=parent.id) for total in photos]
    return parent.id, children


def test_a_batch_ends_with_its_last_child(any_database: Database, clock: Clock) -> None:
    parent_id, (first, second) = batch(any_database, clock, [2, 3])
    owned = claim(any_database, first, clock())
    with any_database.write() as session:
        finish(session, owned, clock, done=2)
    with any_database.read() as session:
        parent = jobs.get(session, parent_id)
        assert (parent.status, parent.done, parent.total) == (JobStatus.RUNNING, 2, 5)
    owned = claim(any_database, second, clock())
    with any_database.write() as session:
        jobs.fail(session, owned, clock(), code="broken", detail="broken")
    with any_database.read() as session:
        parent = jobs.get(session, parent_id)
        assert (parent.status, parent.done, parent.failed) == (JobStatus.SUCCEEDED, 2, 3)


def test_a_batch_of_which_nothing_worked_has_failed(any_database: Database, clock: Clock) -> None:
    parent_id, (child,) = batch(any_database, clock, [2])
    owned = claim(any_database, child, clock())
    with any_database.write() as session:
        jobs.fail(session, owned, clock(), code="broken", detail="broken")
    assert status(any_database, parent_id) is JobStatus.FAILED


def test_cancelling_a_batch_cancels_its_open_children(any_database: Database, clock: Clock) -> None:
    parent_id, (first, second) = batch(any_database, clock, [1, 1])
    owned = claim(any_database, first, clock())
    with any_database.write() as session:
        finish(session, owned, clock, done=1)
    with any_database.write() as session:
        jobs.cancel(session, parent_id, clock())
    assert status(any_database, first) is JobStatus.SUCCEEDED
    assert status(any_database, second) is JobStatus.CANCELLED
    assert status(any_database, parent_id) is JobStatus.CANCELLED


def test_unknown_job(any_database: Database) -> None:
    with pytest.raises(NotFound), any_database.read() as session:
        jobs.get(session, uuid4())
