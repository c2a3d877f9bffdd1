"""Jobs whose message or worker is lost are found, and given up after their attempts."""

from datetime import timedelta
from uuid import UUID

from db.jobs import cancelling, reading, relaying
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


def due(database: Database, clock: Clock) -> list[UUID]:
    with database.read() as session:
        return [job.id for job in relaying.due_for_publishing(session, clock(), 10)]


def test_what_was_published_is_looked_for_again_after_a_while(
    any_database: Database, clock: Clock
) -> None:
    job_id = accept(any_database, clock())
    assert due(any_database, clock) == []
    clock.advance(seconds=6)
    for _ in range(10):
        assert due(any_database, clock) == [job_id]
        with any_database.write() as session:
            relaying.mark_published(session, [job_id], clock())
        clock.advance(seconds=14)
        assert due(any_database, clock) == []
        clock.advance(seconds=1)
    with any_database.write() as session:
        relaying.mark_published(session, [job_id], clock(), timedelta(minutes=5))
    clock.advance(seconds=299)
    assert due(any_database, clock) == []


def test_when_all_messages_are_lost_what_had_one_is_due_at_once(
    any_database: Database, clock: Clock
) -> None:
    published, running, ended = (accept(any_database, clock()) for _ in range(3))
    clock.advance(seconds=6)
    with any_database.write() as session:
        relaying.mark_published(session, [published, running, ended], clock())
    claim(any_database, running, clock())
    with any_database.write() as session:
        cancelling.cancel(session, ended, clock())
    fresh = accept(any_database, clock())
    with any_database.write() as session:
        assert relaying.publish_all_again(session, clock()) == 1
    assert due(any_database, clock) == [published]
    # Whoever has accepted it is about to publish it.
    assert fresh not in due(any_database, clock)


def test_a_job_that_was_claimed_meanwhile_is_not_marked(
    any_database: Database, clock: Clock
) -> None:
    job_id = accept(any_database, clock())
    claim(any_database, job_id, clock())
    with any_database.write() as session:
        relaying.mark_published(session, [job_id], clock())
    with any_database.read() as session:
        assert reading.get(session, job_id).published == 0
