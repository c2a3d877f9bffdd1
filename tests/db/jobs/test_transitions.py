"""A batch ends with the last of its jobs."""

from db.jobs import attempts, reading
from db.session import Database
from models.domain.types import JobStatus
from tests.support.clock import Clock
from tests.support.jobs import batch, claim, finish, status


def test_a_batch_ends_with_its_last_child(any_database: Database, clock: Clock) -> None:
    parent_id, (first, second) = batch(any_database, clock, [2, 3])
    owned = claim(any_database, first, clock())
    with any_database.write() as session:
        finish(session, owned, clock, done=2)
    with any_database.read() as session:
        parent = reading.get(session, parent_id)
        assert (parent.status, parent.done, parent.total) == (JobStatus.RUNNING, 2, 5)
    owned = claim(any_database, second, clock())
    with any_database.write() as session:
        attempts.fail(session, owned, clock(), code="broken", detail="broken")
    with any_database.read() as session:
        parent = reading.get(session, parent_id)
        assert (parent.status, parent.done, parent.failed) == (JobStatus.SUCCEEDED, 2, 3)


def test_a_batch_of_which_nothing_worked_has_failed(any_database: Database, clock: Clock) -> None:
    parent_id, (child,) = batch(any_database, clock, [2])
    owned = claim(any_database, child, clock())
    with any_database.write() as session:
        attempts.fail(session, owned, clock(), code="broken", detail="broken")
    assert status(any_database, parent_id) is JobStatus.FAILED
