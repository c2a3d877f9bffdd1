"""Writes that come at the same moment share a commit, and nothing else."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from threading import Barrier, Event
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.group_commit import GroupCommit
from db.jobs import accepting, reading
from db.session import Database
from db.tables import Job
from models.domain.errors import Conflict, NotFound, ReindexRunning, Unavailable
from models.domain.job_payloads import EmbedPayload, ReindexPayload
from tests.support.clock import Clock
from tests.support.waiting import wait_until

THREADS = 8


def acceptance(job_id: UUID) -> Callable[[Session], Job]:
    return lambda session: accepting.accept(
        session, EmbedPayload(photo_ids=()), job_id=job_id, now=Clock()()
    )


def exists(database: Database, job_id: UUID) -> bool:
    with database.read() as session:
        try:
            reading.get(session, job_id)
        except NotFound:
            return False
    return True


class Held:
    """A first write that is held in its transaction, until `many` others wait for the next."""

    def __init__(self, database: Database) -> None:
        self.committed: list[list[Any]] = []
        self.group: GroupCommit[Any] = GroupCommit(database, self.committed.append)
        self._threads = ThreadPoolExecutor(THREADS + 1)
        self._go_on = Event()
        self._begun = Event()

    def all(
        self, works: list[Callable[[Session], Job]], *, in_one_statement: bool = False
    ) -> list[Job | Exception]:
        """Do all of these together; what each gives or raises."""
        first = self._threads.submit(self.group.write, self._hold)
        assert self._begun.wait(20)
        write = partial(self.group.write, in_one_statement=in_one_statement)
        futures = [self._threads.submit(write, work) for work in works]
        while len(self.group._waiting) < len(works):
            pass
        self._go_on.set()
        first.exception(20)
        found: list[Job | Exception] = []
        for future in futures:
            error = future.exception(20)
            assert error is None or isinstance(error, Exception)
            found.append(error or future.result())
        self._threads.shutdown()
        return found

    def _hold(self, session: Session) -> None:
        del session
        self._begun.set()
        assert self._go_on.wait(20)


@pytest.fixture
def commits(any_database: Database) -> list[int]:
    """One more for each commit."""
    counted: list[int] = []
    event.listen(any_database.engine, "commit", lambda _: counted.append(1))
    return counted


def test_those_that_wait_share_a_commit(any_database: Database, commits: list[int]) -> None:
    ids = [uuid4() for _ in range(THREADS)]
    held = Held(any_database)
    made = held.all([acceptance(job_id) for job_id in ids])
    assert [job.id for job in made if isinstance(job, Job)] == ids
    assert all(exists(any_database, job_id) for job_id in ids)
    # The one that was held has written nothing.
    assert len(commits) == 1
    # Told once, when all are there.
    wait_until(lambda: len(held.committed) == 2)
    assert {job.id for job in held.committed[1]} == set(ids)


def test_one_that_fails_fails_alone(any_database: Database) -> None:
    ids = [uuid4() for _ in range(3)]

    def half_done(session: Session) -> Job:
        acceptance(ids[1])(session)
        session.flush()
        raise Conflict("not this one")

    def refused(session: Session) -> Job:
        session.execute(text("INSERT INTO jobs (id) VALUES (NULL)"))
        return acceptance(uuid4())(session)

    works = [acceptance(ids[0]), half_done, refused, acceptance(ids[2])]
    first, second, third, last = Held(any_database).all(works)
    assert isinstance(first, Job)
    assert isinstance(second, Conflict)
    assert isinstance(third, IntegrityError)
    assert isinstance(last, Job)
    assert [exists(any_database, job_id) for job_id in ids] == [True, False, True]


def test_one_that_is_refused_breaks_no_transaction(
    any_database: Database, commits: list[int]
) -> None:
    ids = [uuid4(), uuid4()]

    def refused(session: Session) -> Job:
        acceptance(ids[1])(session)
        raise Conflict("not this one")

    held = Held(any_database)
    first, second = held.all([acceptance(ids[0]), refused])
    assert isinstance(first, Job)
    assert isinstance(second, Conflict)
    assert [exists(any_database, job_id) for job_id in ids] == [True, False]
    assert len(commits) == 1
    wait_until(lambda: len(held.committed) == 2)
    assert [job.id for job in held.committed[1]] == ids[:1]


def test_a_statement_that_is_refused_refuses_no_other(any_database: Database) -> None:
    ids = [uuid4() for _ in range(4)]

    def reindexing(job_id: UUID) -> Callable[[Session], Job]:
        return lambda session: accepting.accept(
            session, ReindexPayload(), job_id=job_id, now=datetime.now(UTC)
        )

    works = [acceptance(ids[0]), reindexing(ids[1]), reindexing(ids[2]), acceptance(ids[3])]
    made = Held(any_database).all(works, in_one_statement=True)
    assert [isinstance(one, ReindexRunning) for one in made].count(True) == 1
    there = [exists(any_database, job_id) for job_id in ids]
    assert there == [isinstance(one, Job) for one in made]
    assert there.count(True) == 3


def test_nothing_is_answered_that_was_not_committed(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [uuid4(), uuid4()]
    held = Held(any_database)

    def lose(session: Session) -> None:
        del session
        raise Unavailable("the disk is full")

    monkeypatch.setattr("db.session.number_changes", lose)
    failed = held.all([acceptance(job_id) for job_id in ids])
    assert [type(one) for one in failed] == [Unavailable] * 2
    monkeypatch.undo()
    assert not any(exists(any_database, job_id) for job_id in ids)
    assert held.group.write(acceptance(ids[0])).id == ids[0]


def test_many_threads_at_once_lose_nothing(any_database: Database, commits: list[int]) -> None:
    committed: list[list[Job]] = []
    group, start = GroupCommit(any_database, committed.append), Barrier(THREADS)
    ids = [[uuid4() for _ in range(20)] for _ in range(THREADS)]

    def work(own: list[UUID]) -> None:
        start.wait(20)
        for job_id in own:
            assert group.write(acceptance(job_id)).id == job_id

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(work, ids))
    assert all(exists(any_database, job_id) for own in ids for job_id in own)
    assert len(commits) < THREADS * 20
    assert sorted(job.id for some in committed for job in some) == sorted(chain(*ids))
