"""Workers follow the encoder that the database names, and never mix two."""

from collections.abc import Sequence
from threading import Event

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import select

from db.consumption import consumed_lately
from db.tables import Consumption, Encoder, Generation, Job
from db.vectors.embeddings import embedded
from db.vectors.encoders import activate_encoder, follow_encoder, retire_encoder
from models.domain.clock import utc_now
from models.domain.errors import WeightsMissing
from models.domain.types import EncoderSpec, JobStatus, JobType
from models.photos import standardise
from tests.support.encoder import ThumbnailEncoder
from tests.support.pictures import jpeg
from tests.workers.conftest import Workshop, wait_until
from tests.workers.jobs.test_search import grey, listed
from workers.jobs.search import run_search
from workers.queue.messages import Queue
from workers.search import active_engine as searcher
from workers.search.query_encoder import QueryEncoder
from workers.tasks import run_job, show_up


def follow(workshop: Workshop, name: str = "other") -> tuple[ThumbnailEncoder, int]:
    """Another encoder that every photo is embedded by from now on."""
    encoder, encoder_id = workshop.add_encoder(name)
    with workshop.database.write() as session:
        follow_encoder(session, encoder_id)
    return encoder, encoder_id


def activate(workshop: Workshop, encoder_id: int) -> None:
    with workshop.database.write() as session:
        activate_encoder(session, encoder_id, workshop.now(), force=True)


def embedded_by(workshop: Workshop, encoder_id: int, photo_ids: Sequence[int]) -> set[int]:
    with workshop.database.read() as session:
        return embedded(session, encoder_id, photo_ids)


def searched(workshop: Workshop, seed: int = 1) -> Job:
    sha256 = workshop.runtime.store.put(standardise(jpeg(seed)).data)
    return workshop.do(JobType.SEARCH, {"photo": sha256, "limit": 3})


def encoder_of(job: Job) -> str:
    assert job.result, job.error_detail
    label: str = job.result["encoder"]
    return label


def test_a_photo_is_embedded_by_every_encoder_that_is_followed(workshop: Workshop) -> None:
    other, other_id = follow(workshop)
    _, photo_ids = workshop.list_photos(jpeg(1), jpeg(2))
    job = workshop.embed(photo_ids)
    assert (job.done, job.result) == (2, {"embedded": 2, "errors": []})
    for encoder_id in (workshop.encoder_id, other_id):
        assert embedded_by(workshop, encoder_id, photo_ids) == set(photo_ids)
    assert (workshop.encoder.embedded, other.embedded) == (2, 2)


def test_what_only_one_encoder_lacks_only_that_one_embeds(workshop: Workshop) -> None:
    _, photo_ids = workshop.list_photos(jpeg(1), jpeg(2))
    workshop.embed(photo_ids)
    other, _ = follow(workshop)
    assert workshop.embed(photo_ids).done == 2
    assert (workshop.encoder.embedded, other.embedded) == (2, 2)


def test_a_job_for_one_encoder_is_for_that_one(workshop: Workshop) -> None:
    _, other_id = workshop.add_encoder("other")
    _, photo_ids = workshop.list_photos(jpeg(1))
    job = workshop.do(JobType.EMBED, {"photo_ids": photo_ids, "encoder_id": other_id})
    assert (job.status, job.done) == (JobStatus.SUCCEEDED, 1)
    assert embedded_by(workshop, other_id, photo_ids) == set(photo_ids)
    assert embedded_by(workshop, workshop.encoder_id, photo_ids) == set()
    with workshop.database.write() as session:
        retire_encoder(session, other_id)
    late = workshop.do(JobType.EMBED, {"photo_ids": photo_ids, "encoder_id": other_id})
    assert (late.status, late.error_code) == (JobStatus.FAILED, "conflict")


def test_what_is_only_followed_does_not_stand_in_the_way(workshop: Workshop) -> None:
    other, other_id = follow(workshop)
    del workshop.shelf.encoders[other.spec]
    _, photo_ids = workshop.list_photos(jpeg(1))
    assert workshop.embed(photo_ids).status is JobStatus.SUCCEEDED
    assert embedded_by(workshop, workshop.encoder_id, photo_ids) == set(photo_ids)
    assert embedded_by(workshop, other_id, photo_ids) == set()


def test_a_machine_without_the_active_encoder_leaves_the_job_to_another(
    workshop: Workshop,
) -> None:
    encoder = workshop.shelf.encoders.pop(workshop.encoder.spec)
    _, photo_ids = workshop.list_photos(jpeg(1))
    job = workshop.embed(photo_ids)
    # However often it comes back here, it is not given up.
    for _ in range(2 * workshop.runtime.config.max_attempts):
        assert job.status is JobStatus.QUEUED
        assert job.publish_after > utc_now()
        run_job(workshop.runtime, job.id)
        job = workshop.job(job.id)
    workshop.shelf.encoders[workshop.encoder.spec] = encoder
    run_job(workshop.runtime, job.id)
    assert workshop.job(job.id).status is JobStatus.SUCCEEDED


class MeanEncoder(ThumbnailEncoder):
    """Sees something in every photo, a single grey one too."""

    def embed(self, photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        return np.abs(super().embed(photos)) + np.float32(self.spec.dimension**-0.5)


def test_the_active_encoder_decides_whether_there_is_anything_to_see(workshop: Workshop) -> None:
    other, other_id = follow(workshop)
    workshop.shelf.encoders[other.spec] = MeanEncoder("other")
    _, photo_ids = workshop.list_photos(grey())
    assert workshop.embed(photo_ids).failed == 1
    activate(workshop, other_id)
    assert workshop.embed(photo_ids).failed == 0


def test_searches_change_to_the_active_encoder_with_its_index(workshop: Workshop) -> None:
    other, other_id = follow(workshop)
    ids = [listed(workshop, seed) for seed in range(4)]
    first = workshop.reindex().result
    second = workshop.do(JobType.REINDEX, {"encoder_id": other_id}).result
    assert first
    assert second
    assert encoder_of(searched(workshop)) == workshop.encoder.spec.label
    for encoder_id, spec, generation in (
        (other_id, other.spec, second["generation"]),
        (workshop.encoder_id, workshop.encoder.spec, first["generation"]),
    ):
        workshop.activate(encoder_id)
        job = searched(workshop)
        assert job.result
        assert (job.result["encoder"], job.result["generation"]) == (spec.label, generation)
        assert workshop.search(2)[0] == ids[2]
        new = listed(workshop, 100 + encoder_id)
        assert workshop.search(100 + encoder_id)[0] == new


def test_searches_go_on_while_the_new_encoder_is_opened(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, other_id = follow(workshop)
    listed(workshop, 1)
    may_open = Event()
    opened = workshop.shelf.open

    def slowly(spec: EncoderSpec, threads: int) -> ThumbnailEncoder:
        assert may_open.wait(10)
        encoder = opened(spec, threads)
        assert isinstance(encoder, ThumbnailEncoder)
        return encoder

    monkeypatch.setattr(workshop.shelf, "open", slowly)
    activate(workshop, other_id)
    for _ in range(3):
        assert encoder_of(searched(workshop)) == workshop.encoder.spec.label
    may_open.set()
    wait_until(lambda: encoder_of(searched(workshop)) == other.spec.label)


def test_an_encoder_that_is_active_no_more_when_it_is_open_is_let_go(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, other_id = follow(workshop)
    first = workshop.encoder_id
    listed(workshop, 1)
    may_open, is_open = Event(), Event()

    def slowly(spec: EncoderSpec, threads: int) -> ThumbnailEncoder:
        del spec, threads
        assert may_open.wait(10)
        is_open.set()
        return other

    monkeypatch.setattr(workshop.shelf, "open", slowly)
    activate(workshop, other_id)
    searched(workshop)
    activate(workshop, first)
    may_open.set()
    assert is_open.wait(10)
    for _ in range(20):
        assert encoder_of(searched(workshop)) == workshop.encoder.spec.label


def test_an_encoder_that_can_not_be_opened_is_tried_again_later(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other, other_id = follow(workshop)
    listed(workshop, 1)
    tries = 0

    def missing(spec: EncoderSpec, threads: int) -> ThumbnailEncoder:
        del spec, threads
        nonlocal tries
        tries += 1
        raise WeightsMissing("It is on another machine.")

    with monkeypatch.context() as patched:
        patched.setattr(workshop.shelf, "open", missing)
        activate(workshop, other_id)
        wait_until(lambda: searched(workshop) and "on another machine" in caplog.text)
        for _ in range(5):
            assert encoder_of(searched(workshop)) == workshop.encoder.spec.label
    assert tries == 1
    with workshop.database.read() as session:
        assert consumed_lately(session, utc_now())[Queue.SEARCH] == workshop.encoder.spec.label
    monkeypatch.setattr(searcher, "monotonic", lambda: float("inf"))
    wait_until(lambda: encoder_of(searched(workshop)) == other.spec.label)


def test_a_search_that_has_begun_ends_with_the_encoder_it_began_with(workshop: Workshop) -> None:
    _, other_id = follow(workshop)
    listing_id = listed(workshop, 1)
    built = workshop.reindex().result
    assert built
    workshop.do(JobType.REINDEX, {"encoder_id": other_id})
    sha256 = workshop.runtime.store.put(standardise(jpeg(1)).data)
    claim = workshop.claim(workshop.accept(JobType.SEARCH, {"photo": sha256, "limit": 3}))
    side = workshop.searcher.side()

    workshop.activate(other_id)
    result = run_search(
        claim,
        database=workshop.database,
        encoder=QueryEncoder(
            workshop.database, workshop.runtime.store, side.encoder, side.encoder_id
        ),
        index=side.index,
        clock=workshop.now,
    )

    assert result["encoder"] == workshop.encoder.spec.label
    assert result["generation"] == built["generation"]
    assert result["results"][0]["listing_id"] == str(listing_id)


def test_a_worker_changes_while_nobody_searches_and_says_so(workshop: Workshop) -> None:
    _, other_id = follow(workshop)
    listed(workshop, 1)
    activate(workshop, other_id)

    def seen_with() -> int | None:
        show_up(workshop.runtime, "search")
        with workshop.database.read() as session:
            return session.scalar(select(Consumption.encoder_id))

    wait_until(lambda: seen_with() == other_id)


def test_each_encoder_has_an_index_of_its_own(workshop: Workshop) -> None:
    _, other_id = follow(workshop)
    for seed in range(3):
        listed(workshop, seed)
    workshop.reindex()
    job = workshop.do(JobType.REINDEX, {"encoder_id": other_id})
    assert job.result
    assert job.result["rows"] == 3
    with workshop.database.read() as session:
        live = session.execute(
            select(Encoder.id, Generation.id).join(Generation, Generation.encoder_id == Encoder.id)
        ).all()
    assert {encoder_id for encoder_id, _ in live} == {workshop.encoder_id, other_id}
    with workshop.database.write() as session:
        retire_encoder(session, other_id)
    late = workshop.do(JobType.REINDEX, {"encoder_id": other_id})
    assert (late.status, late.error_code) == (JobStatus.FAILED, "conflict")
