"""A reindex is asked for once there is something to index, one at a time."""

from uuid import uuid4

import pytest
from sqlalchemy import select

from db.jobs import accepting
from db.session import Database
from db.tables import Job
from db.vectors import generations
from models.domain.errors import ReindexRunning
from models.domain.job_payloads import EmbedPayload, ReindexPayload
from models.domain.types import EncoderSpec, JobStatus, JobType
from tests.support.catalogue import add_listing, numbered_photos
from tests.support.clock import Clock
from tests.support.embedding import embed_all, known
from workers.generations.request import accept_reindex, lacks_generation

ENCODER = EncoderSpec("hog", 4, "a" * 64)


def test_a_generation_is_lacking_once_there_is_something_to_index(
    database: Database, clock: Clock
) -> None:
    with database.write() as session:
        _, photo_ids = add_listing(session, numbered_photos(1), clock())
    assert not lacks_generation(database)

    with database.write() as session:
        payload = EmbedPayload(photo_ids=tuple(photo_ids))
        job = accepting.accept(session, payload, job_id=uuid4(), now=clock())
    embed_all(database, ENCODER, clock())
    assert lacks_generation(database)

    with database.write() as session:
        encoder_id = known(session, ENCODER, clock())
        generation = generations.begin(session, encoder_id, job.id, clock())
        generations.activate(session, generation.id, clock())
    assert not lacks_generation(database)


def test_a_second_reindex_is_refused_while_the_first_is_open(
    database: Database, clock: Clock
) -> None:
    first = accept_reindex(database, job_id=uuid4(), now=clock())
    with pytest.raises(ReindexRunning):
        accept_reindex(database, job_id=uuid4(), now=clock())
    with database.read() as session:
        (job,) = session.scalars(select(Job)).all()
        assert (job.id, job.type, job.status) == (first.id, JobType.REINDEX, JobStatus.QUEUED)


def test_a_reindex_may_name_an_encoder(database: Database, clock: Clock) -> None:
    payload = ReindexPayload(encoder_id=7)
    job = accept_reindex(database, job_id=uuid4(), now=clock(), payload=payload)
    assert job.payload == {"encoder_id": 7}
