"""What callers cancel takes no result, and what they retry has all its attempts again."""

import pytest

from db.jobs import attempts, cancelling, reading
from db.jobs.attempts import ClaimLost
from db.session import Database
from models.domain.errors import Conflict
from models.domain.types import JobStatus
from tests.support.clock import Clock
from tests.support.jobs import accept, batch, claim, finish, status


def test_a_cancelled_job_takes_no_result(any_database: Database, clock: Clock) -> None:
    job_id = accept(any_database, clock())
    owned = claim(any_database, job_id, clock())
    with any_database.write() as session:
        cancelling.cancel(session, job_id, clock())
    with pytest.raises(ClaimLost), any_database.write() as session:
        finish(session, owned, clock)
    assert status(any_database, job_id) is JobStatus.CANCELLED


def test_cancelling_an_ended_job_changes_nothing(any_database: Database, clock: Clock) -> None:
    job_id = accept(any_database, clock())
    owned = claim(any_database, job_id, clock())
    with any_database.write() as session:
        finish(session, owned, clock)
    with any_database.write() as session:
        assert cancelling.cancel(session, job_id, clock()).status is JobStatus.SUCCEEDED


def test_retry_takes_ended_jobs_only(any_database: Database, clock: Clock) -> None:
    job_id = accept(any_database, clock())
    with pytest.raises(Conflict), any_database.write() as session:
        cancelling.retry(session, job_id, clock())
    with any_database.write() as session:
        cancelling.cancel(session, job_id, clock())
    with any_database.write() as session:
        cancelling.retry(session, job_id, clock())
    assert claim(any_database, job_id, clock()).tries == 1


def test_a_worker_from_before_a_retry_can_not_finish(any_database: Database, clock: Clock) -> None:
    job_id = accept(any_database, clock())
    before = claim(any_database, job_id, clock())
    with any_database.write() as session:
        cancelling.cancel(session, job_id, clock())
        cancelling.retry(session, job_id, clock())
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
                attempts.retry_later(session, owned, clock(), max_attempts=2, reason="Because.")
            assert status(any_database, job_id) is expected
        with any_database.write() as session:
            cancelling.retry(session, job_id, clock())


def test_a_batch_ends_anew_with_its_retried_child(any_database: Database, clock: Clock) -> None:
    parent_id, (child,) = batch(any_database, clock, [5])
    owned = claim(any_database, child, clock())
    with any_database.write() as session:
        attempts.fail(session, owned, clock(), code="broken", detail="broken")
    with any_database.write() as session:
        cancelling.retry(session, child, clock())
    assert status(any_database, parent_id) is JobStatus.RUNNING
    owned = claim(any_database, child, clock())
    with any_database.write() as session:
        finish(session, owned, clock, done=5)
    with any_database.read() as session:
        parent = reading.get(session, parent_id)
    assert (parent.status, parent.done, parent.failed) == (JobStatus.SUCCEEDED, 5, 0)
    assert parent.error_code is None


def test_cancelling_a_batch_cancels_its_open_children(any_database: Database, clock: Clock) -> None:
    parent_id, (first, second) = batch(any_database, clock, [1, 1])
    owned = claim(any_database, first, clock())
    with any_database.write() as session:
        finish(session, owned, clock, done=1)
    with any_database.write() as session:
        cancelling.cancel(session, parent_id, clock())
    assert status(any_database, first) is JobStatus.SUCCEEDED
    assert status(any_database, second) is JobStatus.CANCELLED
    assert status(any_database, parent_id) is JobStatus.CANCELLED
