from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from db import jobs
from db.consumption import record_consumption
from db.jobs import Progress
from db.session import Database
from db.tables import Job
from db.vectors import generations
from etl.load.follow import do_all, wait_for
from models.domain.errors import ReindexRunning
from models.domain.types import EncoderSpec, JobStatus, JobType
from tests.support.catalogue import add_listing, numbered_photos
from tests.support.embedding import LEASE, embed_all, known
from workers.generations.request import lacks_generation, request_reindex
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher

Clock = Callable[[], datetime]


def accept(database: Database, now: datetime, photo_ids: list[int]) -> UUID:
    with database.write() as session:
        payload = {"photo_ids": photo_ids}
        total = len(photo_ids)
        return jobs.accept(session, JobType.EMBED, payload, job_id=uuid4(), now=now, total=total).id


def list_a_photo(database: Database, now: datetime) -> int:
    with database.write() as session:
        _, (photo_id,) = add_listing(session, numbered_photos(1), now)
    return photo_id


def unexpected() -> None:
    pytest.fail("nobody should be missed here")


def test_waiting_ends_when_every_job_has_ended(database: Database, clock: Clock) -> None:
    done, cancelled = accept(database, clock(), [1, 2, 3]), accept(database, clock(), [4])
    seen: list[Progress] = []

    def work(progress: Progress) -> None:
        seen.append(progress)
        with database.write() as session:
            if len(seen) == 1:
                claim = jobs.claim(session, done, clock(), jobs.PUBLISH_GRACE)
                assert claim is not None
                jobs.finish(session, claim, clock(), result={}, done=2, failed=1)
            elif len(seen) == 2:
                jobs.cancel(session, cancelled, clock())

    last = wait_for(
        database,
        [done, cancelled],
        Queue.EMBED,
        clock=clock,
        on_progress=work,
        on_unattended=unexpected,
        poll_s=0,
    )
    assert seen == [
        Progress(total=4, open_jobs=2),
        Progress(total=4, done=2, failed=1, open_jobs=1),
        Progress(total=4, done=2, failed=1, unsuccessful_jobs=1),
    ]
    assert last == seen[-1]


def test_waiting_for_nothing_is_over_at_once(database: Database, clock: Clock) -> None:
    last = wait_for(
        database,
        [],
        Queue.EMBED,
        clock=clock,
        on_progress=lambda _: None,
        on_unattended=unexpected,
    )
    assert last == Progress()


@pytest.mark.parametrize(("consumed", "told"), [(None, 1), ("embed", 0), ("index", 1)])
def test_it_is_said_once_when_nobody_takes_the_work(
    database: Database, clock: Clock, consumed: str | None, told: int
) -> None:
    job_id = accept(database, clock(), [1])
    if consumed:
        with database.write() as session:
            record_consumption(session, consumed, clock(), None)
    polls = 0
    sentences = 0

    def give_up_after_five(progress: Progress) -> None:
        nonlocal polls
        polls += 1
        if polls == 5 and progress.open_jobs:
            with database.write() as session:
                jobs.cancel(session, job_id, clock())

    def count() -> None:
        nonlocal sentences
        sentences += 1

    wait_for(
        database,
        [job_id],
        Queue.EMBED,
        clock=clock,
        on_progress=give_up_after_five,
        on_unattended=count,
        poll_s=0,
        patience_s=0,
    )
    assert sentences == told


def test_a_generation_is_lacking_once_there_is_something_to_index(
    database: Database, clock: Clock, encoder: EncoderSpec
) -> None:
    photo_id = list_a_photo(database, clock())
    assert not lacks_generation(database)

    job_id = accept(database, clock(), [photo_id])
    embed_all(database, encoder, clock())
    assert lacks_generation(database)

    with database.write() as session:
        encoder_id = known(session, encoder, clock())
        generation = generations.begin(session, encoder_id, job_id, clock())
        generations.activate(session, generation.id, clock())
    assert not lacks_generation(database)


def test_a_second_reindex_is_refused_while_the_first_is_open(
    database: Database, clock: Clock, publisher: JobPublisher
) -> None:
    first = request_reindex(database, publisher, job_id=uuid4(), now=clock())
    with pytest.raises(ReindexRunning):
        request_reindex(database, publisher, job_id=uuid4(), now=clock())
    with database.read() as session:
        (job,) = session.scalars(select(Job)).all()
        assert (job.id, job.type, job.status) == (first, JobType.REINDEX, JobStatus.QUEUED)


def test_jobs_are_done_here_one_after_the_other_even_those_of_the_dead(
    database: Database, clock: Clock
) -> None:
    now = clock()
    accepted = [accept(database, now, [number]) for number in range(3)]
    with database.write() as session:
        assert jobs.claim(session, accepted[0], now, LEASE)  # by a process that is then killed
    done: list[UUID] = []

    def do(job_id: UUID) -> None:
        nonlocal now
        now += LEASE / 2
        with database.write() as session:
            if claim := jobs.claim(session, job_id, now, LEASE):
                jobs.finish(session, claim, now, result={}, done=1)
                done.append(job_id)

    progress = do_all(
        database, accepted, do, clock=lambda: now, on_progress=lambda _: None, poll_s=0.01
    )
    assert (progress.done, progress.open_jobs) == (3, 0)
    assert done[-1] == accepted[0]
    assert set(done) == set(accepted)


def test_a_job_that_failed_is_tried_again_when_it_is_due(database: Database, clock: Clock) -> None:
    now = clock()
    job_id = accept(database, now, [1])
    attempts: list[datetime] = []

    def tick() -> datetime:
        nonlocal now
        now += timedelta(seconds=0.5)
        return now

    def do(job_id: UUID) -> None:
        attempts.append(now)
        with database.write() as session:
            claim = jobs.claim(session, job_id, now, LEASE)
            assert claim
            jobs.retry_later(session, claim, now, max_attempts=4, reason="the store is away")

    progress = do_all(database, [job_id], do, clock=tick, on_progress=lambda _: None, poll_s=0.001)
    assert progress.unsuccessful_jobs == 1
    waits = [(after - before).total_seconds() for before, after in pairwise(attempts)]
    assert len(waits) == 3
    assert all(wait >= 2**number for number, wait in enumerate(waits, start=1))
