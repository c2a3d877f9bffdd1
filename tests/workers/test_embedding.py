"""Embed jobs are idempotent, and one bad photo fails itself alone."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import func, select, update

from db import jobs
from db.embeddings import count_live, photos_to_embed
from db.tables import Change, Embedding, Photo
from models.domain import JobStatus, JobType
from tests.support.pictures import jpeg
from tests.workers.conftest import Workshop
from tests.workers.test_searching import grey
from workers.tasks import run_job


def count(workshop: Workshop, table: type[Embedding] | type[Change]) -> int:
    with workshop.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_done_twice_has_one_effect(workshop: Workshop) -> None:
    _, photo_ids = workshop.list_photos(jpeg(1), jpeg(2))
    assert workshop.embed(photo_ids).done == 2
    changes = count(workshop, Change)
    again = workshop.embed(photo_ids)
    assert (again.status, again.done, again.result) == (
        JobStatus.SUCCEEDED,
        2,
        {"embedded": 0, "errors": []},
    )
    assert count(workshop, Embedding) == 2
    assert count(workshop, Change) == changes


def test_delivered_twice_is_done_once(workshop: Workshop) -> None:
    _, photo_ids = workshop.list_photos(jpeg(1))
    job_id = workshop.accept(JobType.EMBED, {"photo_ids": photo_ids})
    run_job(workshop.runtime, job_id)
    run_job(workshop.runtime, job_id)
    assert workshop.job(job_id).attempt == 1


def test_a_bad_photo_fails_alone(workshop: Workshop) -> None:
    _, photo_ids = workshop.list_photos(jpeg(1), jpeg(2), jpeg(3), grey())
    with workshop.database.write() as session:
        session.execute(update(Photo).where(Photo.id == photo_ids[0]).values(sha256="0" * 64))
        broken = workshop.runtime.store.put(b"not a photo at all")
        session.execute(update(Photo).where(Photo.id == photo_ids[1]).values(sha256=broken))
    job = workshop.embed(photo_ids)
    assert (job.status, job.done, job.failed) == (JobStatus.SUCCEEDED, 1, 3)
    assert job.result
    codes = [error["code"] for error in job.result["errors"]]
    assert codes == ["not_found", "unsupported_photo", "invalid_photo"]
    with workshop.database.read() as session:
        assert count_live(session, workshop.runtime.encoder_id) == 1


def test_what_is_promised_by_an_open_job_is_not_queued_again(workshop: Workshop) -> None:
    _, photo_ids = workshop.list_photos(jpeg(1), jpeg(2), jpeg(3))
    job_id = workshop.accept(JobType.EMBED, {"photo_ids": photo_ids[:2]})
    encoder_id = workshop.runtime.encoder_id
    with workshop.database.read() as session:
        assert photos_to_embed(session, encoder_id) == photo_ids[2:]
    run_job(workshop.runtime, job_id)
    with workshop.database.read() as session:
        assert photos_to_embed(session, encoder_id) == photo_ids[2:]
        assert photos_to_embed(session, encoder_id + 1) == sorted(photo_ids)


def test_an_attempt_that_lost_its_claim_stores_nothing(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, photo_ids = workshop.list_photos(jpeg(1))
    job_id = workshop.accept(JobType.EMBED, {"photo_ids": photo_ids})

    embed = workshop.encoder.embed

    def cancelled_meanwhile(photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        with workshop.database.write() as session:
            jobs.cancel(session, job_id, workshop.now())
        return embed(photos)

    monkeypatch.setattr(workshop.encoder, "embed", cancelled_meanwhile)
    run_job(workshop.runtime, job_id)
    assert workshop.job(job_id).status is JobStatus.CANCELLED
    assert count(workshop, Embedding) == 0
