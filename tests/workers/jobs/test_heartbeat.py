"""A heartbeat renews a lease, is throttled, and outlives a database that is away for a moment."""

from datetime import timedelta

import pytest

from db.jobs.attempts import ClaimLost
from db.jobs.relaying import release_expired
from db.session import Database
from models.domain.types import JobType
from tests.support.workers import LEASE, WorkerHarness
from workers.jobs.heartbeat import BEAT_EVERY_S, Heartbeat
from workers.queue import throttle as module


def test_progress_is_stored_at_most_once_a_second(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 0.0
    monkeypatch.setattr(module, "monotonic", lambda: seconds)
    job_id = worker.accept(JobType.REINDEX, {})
    heartbeat = Heartbeat(worker.database, worker.claim(job_id), LEASE, worker.now)
    heartbeat(1, 9)
    heartbeat(2, 9)
    assert (worker.job(job_id).done, worker.job(job_id).total) == (1, 9)
    seconds = BEAT_EVERY_S
    heartbeat(3, 9)
    assert worker.job(job_id).done == 3


def test_a_lease_is_renewed_before_there_is_progress(worker: WorkerHarness) -> None:
    job_id = worker.accept(JobType.EMBED, {"photo_ids": [1]})
    heartbeat = Heartbeat(worker.database, worker.claim(job_id), 2 * LEASE, worker.now)
    heartbeat.renew()
    job = worker.job(job_id)
    assert (job.done, job.total, job.lease_expires_at) == (0, 1, worker.now() + 2 * LEASE)


def test_a_database_that_is_away_does_not_end_the_job(
    worker: WorkerHarness, caplog: pytest.LogCaptureFixture
) -> None:
    claim = worker.claim(worker.accept(JobType.REINDEX, {}))
    away = Database("postgresql://x@127.0.0.1:9/x")
    Heartbeat(away, claim, LEASE, worker.now)(1, 9)
    assert "goes on without a heartbeat" in caplog.text


def test_a_job_that_another_attempt_owns_is_given_up(worker: WorkerHarness) -> None:
    job_id = worker.accept(JobType.REINDEX, {})
    claim = worker.claim(job_id)
    with worker.database.write() as session:
        release_expired(session, worker.now() + LEASE + timedelta(seconds=1), 9)
    with pytest.raises(ClaimLost):
        Heartbeat(worker.database, claim, LEASE, worker.now)(1, 9)
