"""Each photo is embedded by one job, whoever asks for it and how often."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from db.jobs import reading
from db.jobs.embed import PHOTOS_PER_JOB
from db.session import Database
from db.tables import Job
from models.domain.errors import UnreadableRecord
from tests.support.catalogue import add_listing, numbered_photos
from tests.support.clock import Clock
from workers.queue.embed_jobs import EmbedJobs
from workers.queue.messages import PublishableJob, Queue


class Nobody:
    """Leaves jobs to whoever finds them in the database."""

    def submit(self, accepted: Sequence[PublishableJob]) -> None:
        del accepted

    def step(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
        raise AssertionError((queue, job_ids))


def ask(database: Database, embed_jobs: EmbedJobs, photo_ids: list[int]) -> list[Job]:
    with database.write() as session:
        accepted = embed_jobs.accept(session, photo_ids)
    embed_jobs.submit(accepted)
    return accepted


def test_what_was_asked_for_is_not_queued_again(any_database: Database, clock: Clock) -> None:
    photos = numbered_photos(*range(PHOTOS_PER_JOB + 3))
    with any_database.write() as session:
        _, (first, second, *others) = add_listing(session, photos, clock())
    embed_jobs = EmbedJobs(any_database, Nobody(), clock=clock, new_id=uuid4)
    embed_jobs.start()

    asked = [ask(any_database, embed_jobs, ids) for ids in ([first], [first, second, second])]
    assert [[job.payload["photo_ids"] for job in accepted] for accepted in asked] == [
        [[first]],
        [[second]],
    ]
    embed_jobs.queue_missing()
    embed_jobs.queue_missing()

    assert embed_jobs.queued == len(photos)
    assert len(embed_jobs.open) == 4
    later = EmbedJobs(any_database, Nobody(), clock=clock, new_id=uuid4)
    later.start()
    later.queue_missing()
    assert (later.queued, set(later.open)) == (0, set(embed_jobs.open))
    assert ask(any_database, later, [first, *others]) == []


def test_open_jobs_of_a_newer_release_are_not_guessed(any_database: Database, clock: Clock) -> None:
    with any_database.write() as session:
        _, photo_ids = add_listing(session, numbered_photos(1), clock())
    embed_jobs = EmbedJobs(any_database, Nobody(), clock=clock, new_id=uuid4)
    (job,) = ask(any_database, embed_jobs, photo_ids)
    with any_database.write() as session:
        reading.get(session, job.id).payload = {**job.payload, "of_the_future": True}

    with pytest.raises(UnreadableRecord, match="the embed job"):
        EmbedJobs(any_database, Nobody(), clock=clock, new_id=uuid4).start()
