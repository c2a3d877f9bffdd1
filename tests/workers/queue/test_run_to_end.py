"""Jobs are done to their end, by the workers of their queue or by this process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest

from db.jobs import accepting, attempts, cancelling, claiming
from db.jobs.counting import Progress
from db.session import Database
from models.domain.job_payloads import EmbedPayload
from tests.support.clock import Clock
from tests.support.embedding import LEASE
from tests.support.payloads import NOTHING_EMBEDDED
from workers.queue import executors
from workers.queue.executors import InlineExecutor, RunJob, run_to_end
from workers.queue.messages import PublishableJob, Queue


class Idle:
    """Does nothing itself: somebody else works while it waits."""

    def submit(self, accepted: Sequence[PublishableJob]) -> None:
        pytest.fail(f"{len(accepted)} jobs were not to be submitted")

    def step(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
        assert queue is Queue.EMBED
        assert job_ids


def inline(database: Database, run_job: RunJob, clock: Callable[[], datetime]) -> InlineExecutor:
    @contextmanager
    def worker(queue: Queue) -> Iterator[RunJob]:
        assert queue is Queue.EMBED
        yield run_job

    return InlineExecutor(database, worker, clock)


def accept(database: Database, now: datetime, photo_ids: list[int]) -> UUID:
    payload = EmbedPayload(photo_ids=tuple(photo_ids))
    with database.write() as session:
        return accepting.accept(session, payload, job_id=uuid4(), now=now, total=len(photo_ids)).id


def test_waiting_ends_when_every_job_has_ended(database: Database, clock: Clock) -> None:
    done, cancelled = accept(database, clock(), [1, 2, 3]), accept(database, clock(), [4])
    seen: list[Progress] = []

    def work(progress: Progress) -> None:
        seen.append(progress)
        with database.write() as session:
            if len(seen) == 1:
                claim = claiming.claim(session, done, clock(), accepting.PUBLISH_GRACE)
                assert claim is not None
                attempts.finish(session, claim, clock(), result=NOTHING_EMBEDDED, done=2, failed=1)
            elif len(seen) == 2:
                cancelling.cancel(session, cancelled, clock())

    last = run_to_end(Idle(), database, Queue.EMBED, [done, cancelled], work)
    assert seen == [
        Progress(total=4, open_jobs=2),
        Progress(total=4, done=2, failed=1, open_jobs=1),
        Progress(total=4, done=2, failed=1, unsuccessful_jobs=1),
    ]
    assert last == seen[-1]


def test_waiting_for_nothing_is_over_at_once(database: Database) -> None:
    assert run_to_end(Idle(), database, Queue.EMBED, [], lambda _: None) == Progress()


def test_jobs_are_done_here_one_after_the_other_even_those_of_the_dead(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for all of them, however slow the machine.
    monkeypatch.setattr(executors, "POLL_EVERY_S", 0.3)
    now = clock()
    accepted = [accept(database, now, [number]) for number in range(3)]
    with database.write() as session:
        assert claiming.claim(session, accepted[0], now, LEASE)  # by a process that is then killed
    done: list[UUID] = []

    def do(job_id: UUID) -> None:
        nonlocal now
        now += LEASE / 2
        with database.write() as session:
            if claim := claiming.claim(session, job_id, now, LEASE):
                attempts.finish(session, claim, now, result=NOTHING_EMBEDDED, done=1)
                done.append(job_id)

    with inline(database, do, lambda: now) as executor:
        progress = run_to_end(executor, database, Queue.EMBED, accepted, lambda _: None)
    assert (progress.done, progress.open_jobs) == (3, 0)
    assert done[-1] == accepted[0]
    assert set(done) == set(accepted)


def test_a_job_that_failed_is_tried_again_when_it_is_due(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "POLL_EVERY_S", 0.001)
    now = clock()
    job_id = accept(database, now, [1])
    tried_at: list[datetime] = []

    def tick() -> datetime:
        nonlocal now
        now += timedelta(seconds=0.5)
        return now

    def do(job_id: UUID) -> None:
        tried_at.append(now)
        with database.write() as session:
            claim = claiming.claim(session, job_id, now, LEASE)
            assert claim
            attempts.retry_later(session, claim, now, max_attempts=4, reason="the store is away")

    with inline(database, do, tick) as executor:
        progress = run_to_end(executor, database, Queue.EMBED, [job_id], lambda _: None)
    assert progress.unsuccessful_jobs == 1
    waits = [(after - before).total_seconds() for before, after in pairwise(tried_at)]
    assert len(waits) == 3
    assert all(wait >= 2**number for number, wait in enumerate(waits, start=1))


def test_progress_is_shown_between_jobs(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "POLL_EVERY_S", 0)
    accepted = [accept(database, clock(), [number]) for number in range(3)]

    def do(job_id: UUID) -> None:
        with database.write() as session:
            claim = claiming.claim(session, job_id, clock(), LEASE)
            assert claim
            attempts.finish(session, claim, clock(), result=NOTHING_EMBEDDED, done=1)

    seen: list[int] = []
    with inline(database, do, clock) as executor:
        run_to_end(
            executor, database, Queue.EMBED, accepted, lambda progress: seen.append(progress.done)
        )
    assert seen == [0, 1, 2, 3]
