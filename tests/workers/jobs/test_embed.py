"""Embed jobs are idempotent, and one bad photo fails itself alone."""

import os
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import func, select, update

from db.jobs import attempts, cancelling
from db.tables import Change, Embedding, Photo
from db.vectors.embeddings import count_live, embedded, photos_to_embed
from models.domain.errors import InvalidPhoto, Unavailable
from models.domain.job_results.embeddings import EmbedResult
from models.domain.job_results.searches import SearchResult
from models.domain.types import JobStatus, JobType
from models.photo_decoding import standardise
from tests.support.payloads import result_as
from tests.support.pictures import grey, jpeg
from tests.support.workers import WorkerHarness
from workers.embedding.photos import NICENESS
from workers.jobs.embed import BATCH_SIZE
from workers.search.query_encoder import NOTHING_TO_COMPARE
from workers.tasks import run_job


def count(worker: WorkerHarness, table: type[Embedding] | type[Change]) -> int:
    with worker.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def listed_photos(worker: WorkerHarness, *photos: bytes) -> UUID:
    """A listing with these photos, embedded."""
    listing_id, photo_ids = worker.list_photos(*photos)
    worker.embed(photo_ids)
    return listing_id


def test_done_twice_has_one_effect(worker: WorkerHarness) -> None:
    _, photo_ids = worker.list_photos(jpeg(1), jpeg(2))
    assert worker.embed(photo_ids).done == 2
    changes = count(worker, Change)
    again = worker.embed(photo_ids)
    assert (again.status, again.done, again.result) == (
        JobStatus.SUCCEEDED,
        2,
        {"embedded": 0, "errors": []},
    )
    assert count(worker, Embedding) == 2
    assert count(worker, Change) == changes


def test_delivered_twice_is_done_once(worker: WorkerHarness) -> None:
    _, photo_ids = worker.list_photos(jpeg(1))
    job_id = worker.accept(JobType.EMBED, {"photo_ids": photo_ids})
    run_job(worker.runtime, job_id)
    run_job(worker.runtime, job_id)
    assert worker.job(job_id).attempt == 1


def test_the_lease_is_renewed_between_batches(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.jobs.heartbeat.BEAT_EVERY_S", 0)
    _, photo_ids = worker.list_photos(*map(jpeg, range(3 * BATCH_SIZE + 1)))
    job_id = worker.accept(JobType.EMBED, {"photo_ids": photo_ids})
    leases: list[datetime] = []
    embed = worker.encoder.embed

    def embed_noting_the_lease(photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        lease = worker.job(job_id).lease_expires_at
        assert lease is not None
        leases.append(lease)
        return embed(photos)

    monkeypatch.setattr(worker.encoder, "embed", embed_noting_the_lease)
    run_job(worker.runtime, job_id)
    assert len(leases) == 4
    assert leases[0] < max(leases)
    assert worker.job(job_id).done == len(photo_ids)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a niceness for each thread")
def test_only_threads_that_compute_leave_the_cores_to_others(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    computing: set[int] = set()
    storing: set[int] = set()
    embed, finish = worker.encoder.embed, attempts.finish

    def embed_noting(photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        computing.add(niceness())
        return embed(photos)

    def finish_noting(*given: Any, **named: Any) -> None:
        storing.add(niceness())
        finish(*given, **named)

    monkeypatch.setattr(worker.encoder, "embed", embed_noting)
    monkeypatch.setattr(attempts, "finish", finish_noting)
    worker.list_pictures(1)
    assert (computing, storing) == ({niceness() + NICENESS}, {niceness()})


def test_a_bad_photo_fails_alone(worker: WorkerHarness) -> None:
    _, photo_ids = worker.list_photos(jpeg(2), jpeg(3), grey())
    with worker.database.write() as session:
        broken = worker.runtime.store.put(b"not a photo at all")
        session.execute(update(Photo).where(Photo.id == photo_ids[0]).values(sha256=broken))
    job = worker.embed(photo_ids)
    assert (job.status, job.done, job.failed) == (JobStatus.SUCCEEDED, 1, 2)
    codes = [error.code for error in result_as(job, EmbedResult).errors]
    assert codes == ["unsupported_photo", "invalid_photo"]
    with worker.database.read() as session:
        assert count_live(session, worker.encoder_id) == 1


def test_a_missing_photo_is_tried_again_while_others_are_stored(worker: WorkerHarness) -> None:
    _, photo_ids = worker.list_photos(jpeg(1), jpeg(2), jpeg(3), grey())
    store = worker.runtime.store
    missing = standardise(jpeg(1)).sha256
    store.delete(missing)
    with worker.database.write() as session:
        broken = store.put(b"not a photo at all")
        session.execute(update(Photo).where(Photo.id == photo_ids[1]).values(sha256=broken))
    job = worker.embed(photo_ids)
    assert (job.status, job.result) == (JobStatus.QUEUED, None)
    with worker.database.read() as session:
        assert count_live(session, worker.encoder_id) == 1
    for _ in range(worker.runtime.config.max_attempts - 1):
        run_job(worker.runtime, job.id)
    job = worker.job(job.id)
    assert (job.status, job.error_code) == (JobStatus.FAILED, Unavailable.code)
    assert job.error_detail == "Photos that are missing in the photo store: 1."
    assert (job.done, job.failed) == (1, 3)
    codes = {error.photo: error.code for error in result_as(job, EmbedResult).errors}
    assert set(codes.values()) == {"not_found", "unsupported_photo", "invalid_photo"}
    assert codes[missing] == "not_found"
    store.put(standardise(jpeg(1)).data)
    with worker.database.write() as session:
        cancelling.retry(session, job.id, worker.now())
    run_job(worker.runtime, job.id)
    assert worker.job(job.id).status is JobStatus.SUCCEEDED
    with worker.database.read() as session:
        assert count_live(session, worker.encoder_id) == 2


def test_what_is_promised_by_an_open_job_is_not_queued_again(worker: WorkerHarness) -> None:
    _, photo_ids = worker.list_photos(jpeg(1), jpeg(2), jpeg(3))
    job_id = worker.accept(JobType.EMBED, {"photo_ids": photo_ids[:2]})
    encoder_id = worker.encoder_id
    with worker.database.read() as session:
        assert photos_to_embed(session, encoder_id) == set(photo_ids[2:])
    run_job(worker.runtime, job_id)
    with worker.database.read() as session:
        assert photos_to_embed(session, encoder_id) == set(photo_ids[2:])
        assert photos_to_embed(session, encoder_id + 1) == set(photo_ids)


def test_a_photo_with_nothing_in_it_is_told_every_time_and_remembered(
    worker: WorkerHarness,
) -> None:
    _, photo_ids = worker.list_photos(grey(), jpeg(1))
    encoder_id = worker.encoder_id
    first, again = worker.embed(photo_ids), worker.embed(photo_ids)
    assert first.result
    assert again.result
    assert (first.done, first.failed, first.result["embedded"]) == (1, 1, 1)
    assert (again.done, again.failed, again.result["embedded"]) == (1, 1, 0)
    assert first.result["errors"] == again.result["errors"]
    assert result_as(first, EmbedResult).errors[0].detail == NOTHING_TO_COMPARE
    with worker.database.read() as session:
        assert embedded(session, encoder_id, photo_ids) == set(photo_ids)
        assert photos_to_embed(session, encoder_id) == set()


def test_a_photo_that_can_not_be_read_is_not_done(worker: WorkerHarness) -> None:
    _, photo_ids = worker.list_photos(jpeg(1), jpeg(2))
    store = worker.runtime.store
    store.delete(standardise(jpeg(1)).sha256)
    with worker.database.write() as session:
        broken = store.put(b"not a photo at all")
        session.execute(update(Photo).where(Photo.id == photo_ids[1]).values(sha256=broken))
    job = worker.embed(photo_ids)
    while job.status is JobStatus.QUEUED:
        run_job(worker.runtime, job.id)
        job = worker.job(job.id)
    assert job.failed == 2
    with worker.database.read() as session:
        assert photos_to_embed(session, worker.encoder_id) == set(photo_ids)


def test_a_photo_with_nothing_in_it_is_in_no_index_and_no_query(worker: WorkerHarness) -> None:
    blank = listed_photos(worker, grey())
    both = listed_photos(worker, grey(), jpeg(1))
    other = listed_photos(worker, jpeg(2))
    sha256 = standardise(grey()).sha256
    for _ in ("before a reindex", "after it"):
        assert worker.search(1) == [both, other]
        job = worker.do(JobType.SEARCH, {"photo": sha256, "limit": 3})
        assert (job.error_code, job.error_detail) == (InvalidPhoto.code, NOTHING_TO_COMPARE)
        job = worker.do(JobType.SEARCH, {"listing_id": str(blank), "limit": 3})
        assert job.error_detail == NOTHING_TO_COMPARE
        job = worker.do(JobType.SEARCH, {"listing_id": str(both), "limit": 3})
        assert [row.listing_id for row in result_as(job, SearchResult).results] == [other]
        built = worker.reindex()
        assert built.result, built.error_detail
        assert built.result["rows"] == 2


def test_an_attempt_that_lost_its_claim_stores_nothing(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, photo_ids = worker.list_photos(jpeg(1))
    job_id = worker.accept(JobType.EMBED, {"photo_ids": photo_ids})

    embed = worker.encoder.embed

    def cancelled_meanwhile(photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        with worker.database.write() as session:
            cancelling.cancel(session, job_id, worker.now())
        return embed(photos)

    monkeypatch.setattr(worker.encoder, "embed", cancelled_meanwhile)
    run_job(worker.runtime, job_id)
    assert worker.job(job_id).status is JobStatus.CANCELLED
    assert count(worker, Embedding) == 0
