"""Workers follow the encoder that the database names, and never mix two."""

from collections.abc import Sequence
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import select

from db.consumption import consumed_lately
from db.jobs import reading
from db.tables import Consumption, Encoder, Generation, Job
from db.vectors.embeddings import embedded
from db.vectors.encoders import activate_encoder, follow_encoder, retire_encoder
from models.domain.clock import utc_now
from models.domain.errors import WeightsMissing
from models.domain.job_results.searches import SearchResult
from models.domain.types import EncoderSpec, JobStatus, JobType
from models.photo_decoding import standardise
from tests.support.encoder import ThumbnailEncoder
from tests.support.payloads import result_as
from tests.support.pictures import grey, jpeg
from tests.support.waiting import wait_until
from tests.support.workers import WorkerHarness
from workers.jobs.queries import QueryTools, answer_queries
from workers.queue.messages import Queue
from workers.search import active_engine as searcher
from workers.tasks import answer_probe, run_job


def follow(worker: WorkerHarness, name: str = "other") -> tuple[ThumbnailEncoder, int]:
    """Another encoder that every photo is embedded by from now on."""
    encoder, encoder_id = worker.add_encoder(name)
    with worker.database.write() as session:
        follow_encoder(session, encoder_id)
    return encoder, encoder_id


def activate(worker: WorkerHarness, encoder_id: int) -> None:
    with worker.database.write() as session:
        activate_encoder(session, encoder_id, worker.now(), force=True)


def embedded_by(worker: WorkerHarness, encoder_id: int, photo_ids: Sequence[int]) -> set[int]:
    with worker.database.read() as session:
        return embedded(session, encoder_id, photo_ids)


def searched(worker: WorkerHarness, seed: int = 1) -> Job:
    sha256 = worker.runtime.store.put(standardise(jpeg(seed)).data)
    return worker.do(JobType.SEARCH, {"photo": sha256, "limit": 3})


def encoder_of(job: Job) -> str:
    encoder = result_as(job, SearchResult).encoder
    assert encoder
    return encoder


def test_a_photo_is_embedded_by_every_encoder_that_is_followed(worker: WorkerHarness) -> None:
    other, other_id = follow(worker)
    _, photo_ids = worker.list_photos(jpeg(1), jpeg(2))
    job = worker.embed(photo_ids)
    assert (job.done, job.result) == (2, {"embedded": 2, "errors": []})
    for encoder_id in (worker.encoder_id, other_id):
        assert embedded_by(worker, encoder_id, photo_ids) == set(photo_ids)
    assert (worker.encoder.embedded, other.embedded) == (2, 2)


def test_what_only_one_encoder_lacks_only_that_one_embeds(worker: WorkerHarness) -> None:
    _, photo_ids = worker.list_photos(jpeg(1), jpeg(2))
    worker.embed(photo_ids)
    other, _ = follow(worker)
    assert worker.embed(photo_ids).done == 2
    assert (worker.encoder.embedded, other.embedded) == (2, 2)


def test_a_job_for_one_encoder_is_for_that_one(worker: WorkerHarness) -> None:
    _, other_id = worker.add_encoder("other")
    _, photo_ids = worker.list_photos(jpeg(1))
    job = worker.do(JobType.EMBED, {"photo_ids": photo_ids, "encoder_id": other_id})
    assert (job.status, job.done) == (JobStatus.SUCCEEDED, 1)
    assert embedded_by(worker, other_id, photo_ids) == set(photo_ids)
    assert embedded_by(worker, worker.encoder_id, photo_ids) == set()
    with worker.database.write() as session:
        retire_encoder(session, other_id)
    late = worker.do(JobType.EMBED, {"photo_ids": photo_ids, "encoder_id": other_id})
    assert (late.status, late.error_code) == (JobStatus.FAILED, "conflict")


def test_what_is_only_followed_does_not_stand_in_the_way(worker: WorkerHarness) -> None:
    other, other_id = follow(worker)
    del worker.library.encoders[other.spec]
    _, photo_ids = worker.list_photos(jpeg(1))
    assert worker.embed(photo_ids).status is JobStatus.SUCCEEDED
    assert embedded_by(worker, worker.encoder_id, photo_ids) == set(photo_ids)
    assert embedded_by(worker, other_id, photo_ids) == set()


def test_a_machine_without_the_active_encoder_leaves_the_job_to_another(
    worker: WorkerHarness,
) -> None:
    encoder = worker.library.encoders.pop(worker.encoder.spec)
    _, photo_ids = worker.list_photos(jpeg(1))
    job = worker.embed(photo_ids)
    # However often it comes back here, it is not given up.
    for _ in range(2 * worker.runtime.config.max_attempts):
        assert job.status is JobStatus.QUEUED
        assert job.publish_after > utc_now()
        run_job(worker.runtime, job.id)
        job = worker.job(job.id)
    worker.library.encoders[worker.encoder.spec] = encoder
    run_job(worker.runtime, job.id)
    assert worker.job(job.id).status is JobStatus.SUCCEEDED


def test_a_job_that_a_newer_release_accepted_is_left_to_its_workers(worker: WorkerHarness) -> None:
    _, photo_ids = worker.list_photos(jpeg(1))
    payload: dict[str, object] = {"photo_ids": photo_ids}
    job_id = worker.accept(JobType.EMBED, payload)

    def store(payload: dict[str, object]) -> None:
        with worker.database.write() as session:
            reading.get(session, job_id).payload = payload

    store({**payload, "of_the_future": True})
    for _ in range(2 * worker.runtime.config.max_attempts):
        run_job(worker.runtime, job_id)
        assert worker.job(job_id).status is JobStatus.QUEUED
    store(payload)
    run_job(worker.runtime, job_id)
    assert worker.job(job_id).status is JobStatus.SUCCEEDED


class MeanEncoder(ThumbnailEncoder):
    """Sees something in every photo, a single grey one too."""

    def embed(self, photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        return np.abs(super().embed(photos)) + np.float32(self.spec.dimension**-0.5)


def test_the_active_encoder_decides_whether_there_is_anything_to_see(worker: WorkerHarness) -> None:
    other, other_id = follow(worker)
    worker.library.encoders[other.spec] = MeanEncoder("other")
    _, photo_ids = worker.list_photos(grey())
    assert worker.embed(photo_ids).failed == 1
    activate(worker, other_id)
    assert worker.embed(photo_ids).failed == 0


def test_searches_change_to_the_active_encoder_with_its_index(worker: WorkerHarness) -> None:
    other, other_id = follow(worker)
    ids = [worker.list_pictures(seed) for seed in range(4)]
    first = worker.reindex().result
    second = worker.do(JobType.REINDEX, {"encoder_id": other_id}).result
    assert first
    assert second
    assert encoder_of(searched(worker)) == worker.encoder.spec.label
    for encoder_id, spec, generation in (
        (other_id, other.spec, second["generation"]),
        (worker.encoder_id, worker.encoder.spec, first["generation"]),
    ):
        worker.activate(encoder_id)
        job = searched(worker)
        assert job.result
        assert (job.result["encoder"], job.result["generation"]) == (spec.label, generation)
        assert worker.search(2)[0] == ids[2]
        new = worker.list_pictures(100 + encoder_id)
        assert worker.search(100 + encoder_id)[0] == new


def test_searches_go_on_while_the_new_encoder_is_opened(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, other_id = follow(worker)
    worker.list_pictures(1)
    may_open = Event()
    opened = worker.library.open

    def slowly(spec: EncoderSpec, threads: int) -> ThumbnailEncoder:
        assert may_open.wait(10)
        encoder = opened(spec, threads)
        assert isinstance(encoder, ThumbnailEncoder)
        return encoder

    monkeypatch.setattr(worker.library, "open", slowly)
    activate(worker, other_id)
    for _ in range(3):
        assert encoder_of(searched(worker)) == worker.encoder.spec.label
    may_open.set()
    wait_until(lambda: encoder_of(searched(worker)) == other.spec.label)


def test_an_encoder_that_is_active_no_more_when_it_is_open_is_let_go(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, other_id = follow(worker)
    first = worker.encoder_id
    worker.list_pictures(1)
    may_open, is_open = Event(), Event()

    def slowly(spec: EncoderSpec, threads: int) -> ThumbnailEncoder:
        del spec, threads
        assert may_open.wait(10)
        is_open.set()
        return other

    monkeypatch.setattr(worker.library, "open", slowly)
    activate(worker, other_id)
    searched(worker)
    activate(worker, first)
    may_open.set()
    assert is_open.wait(10)
    for _ in range(20):
        assert encoder_of(searched(worker)) == worker.encoder.spec.label


def test_an_encoder_that_can_not_be_opened_is_tried_again_later(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other, other_id = follow(worker)
    worker.list_pictures(1)
    tries = 0

    def missing(spec: EncoderSpec, threads: int) -> ThumbnailEncoder:
        del spec, threads
        nonlocal tries
        tries += 1
        raise WeightsMissing("It is on another machine.")

    with monkeypatch.context() as patched:
        patched.setattr(worker.library, "open", missing)
        activate(worker, other_id)
        wait_until(lambda: searched(worker) and "on another machine" in caplog.text)
        for _ in range(5):
            assert encoder_of(searched(worker)) == worker.encoder.spec.label
    assert tries == 1
    with worker.database.read() as session:
        assert consumed_lately(session, utc_now())[Queue.SEARCH] == worker.encoder.spec.label
    monkeypatch.setattr(searcher, "monotonic", lambda: float("inf"))
    wait_until(lambda: encoder_of(searched(worker)) == other.spec.label)


def test_a_search_that_has_begun_ends_with_the_encoder_it_began_with(worker: WorkerHarness) -> None:
    _, other_id = follow(worker)
    listing_id = worker.list_pictures(1)
    built = worker.reindex().result
    assert built
    worker.do(JobType.REINDEX, {"encoder_id": other_id})
    sha256 = worker.runtime.store.put(standardise(jpeg(1)).data)
    claim = worker.claim(worker.accept(JobType.SEARCH, {"photo": sha256, "limit": 3}))
    engine = worker.engine.current()

    worker.activate(other_id)
    runtime = worker.runtime
    tools = QueryTools(
        worker.database,
        runtime.store,
        Path(),
        worker.now,
        runtime.columns,
        runtime.whitenings,
    )
    ((_, result),) = answer_queries([claim], engine, tools).answers
    assert isinstance(result, SearchResult)

    assert result.encoder == worker.encoder.spec.label
    assert result.generation == built["generation"]
    assert result.results[0].listing_id == listing_id


def test_a_worker_changes_while_nobody_searches_and_says_so(worker: WorkerHarness) -> None:
    _, other_id = follow(worker)
    worker.list_pictures(1)
    activate(worker, other_id)

    def seen_with() -> int | None:
        answer_probe(worker.runtime, "search")
        with worker.database.read() as session:
            return session.scalar(
                select(Consumption.encoder_id).where(Consumption.queue == Queue.SEARCH)
            )

    wait_until(lambda: seen_with() == other_id)


def test_each_encoder_has_an_index_of_its_own(worker: WorkerHarness) -> None:
    _, other_id = follow(worker)
    for seed in range(3):
        worker.list_pictures(seed)
    worker.reindex()
    job = worker.do(JobType.REINDEX, {"encoder_id": other_id})
    assert job.result
    assert job.result["rows"] == 3
    with worker.database.read() as session:
        live = session.execute(
            select(Encoder.id, Generation.id).join(Generation, Generation.encoder_id == Encoder.id)
        ).all()
    assert {encoder_id for encoder_id, _ in live} == {worker.encoder_id, other_id}
    with worker.database.write() as session:
        retire_encoder(session, other_id)
    late = worker.do(JobType.REINDEX, {"encoder_id": other_id})
    assert (late.status, late.error_code) == (JobStatus.FAILED, "conflict")
