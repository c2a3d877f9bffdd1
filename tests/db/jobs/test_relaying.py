"""Jobs whose message or worker is lost are found, and given up after their attempts."""

from uuid import UUID

from db.jobs import reading, relaying
from db.session import Database
from models.domain.types import JobStatus
from tests.support.clock import Clock
from tests.support.jobs import accept, claim


def test_expired_jobs_are_queued_again_until_their_attempts_are_used_up(
    any_database: Database, clock: Clock
) -> None:
    job_id = accept(any_database, clock())
    for attempt in (1, 2):
        assert claim(any_database, job_id, clock()).attempt == attempt
        clock.advance(seconds=61)
        with any_database.write() as session:
            assert relaying.any_expired(session, clock())
            assert relaying.release_expired(session, clock(), max_attempts=2) == 1
    with any_database.read() as session:
        job = reading.get(session, job_id)
        assert (job.status, job.error_code) == (JobStatus.FAILED, "attempts_exhausted")
        assert not relaying.any_expired(session, clock())


def test_unpublished_jobs_come_due_and_wait_longer_each_time(
    any_database: Database, clock: Clock
) -> None:
    job_id = accept(any_database, clock())

    def due() -> list[UUID]:
        with any_database.read() as session:
            return [job.id for job in relaying.due_for_publishing(session, clock(), 10)]

    assert due() == []
    clock.advance(seconds=6)
    for wait_s in (15, 30, 60):
        assert due() == [job_id]
        with any_database.write() as session:
            relaying.mark_published(session, [job_id], clock())
        clock.advance(seconds=wait_s - 1)
        assert due() == []
        clock.advance(seconds=1)
