"""What a catalogue teaches is taken by itself if it finds more; whatever stops it, never half."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from db.jobs import accepting, cancelling, relaying
from db.tables import Job
from db.vectors.embeddings import photos_lacking
from db.vectors.encoders import all_encoders, encoder_named, find_encoder, previous_encoder
from models.adaptation import learn, trial
from models.domain.clock import utc_now
from models.domain.errors import Conflict
from models.domain.job_payloads import EmbedPayload
from models.domain.job_results.encoders import AdaptResult
from models.domain.types import EncoderStatus, JobStatus, JobType
from models.encoders.encoder import unit_rows
from models.encoders.library import EncoderLibrary
from models.head import head_path
from models.labels import LabelledPhotos
from tests.support.adaptation import made_up
from tests.support.embedded_catalogue import fill
from tests.support.payloads import result_as
from tests.support.workers import LEASE, WorkerHarness
from workers.encoders import auto_adapt, derivation
from workers.encoders.auto_adapt import adapt_if_due
from workers.jobs import adapt
from workers.tasks import run_job

LISTINGS = 120


class Killed(BaseException):
    """As a signal would, nothing that is written catches it."""


@pytest.fixture(autouse=True)
def _few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "MIN_LISTINGS", 50)
    monkeypatch.setattr(auto_adapt, "MIN_PHOTOS", 50)


@pytest.fixture
def catalogue(worker: WorkerHarness) -> LabelledPhotos:
    """Listings in categories that their vectors tell apart, indexed."""
    photos, vectors = made_up(listings=LISTINGS, dimension=worker.encoder.spec.dimension)
    fill(worker, photos, vectors)
    worker.reindex()
    return photos


def run(worker: WorkerHarness) -> Job:
    return worker.do(JobType.ADAPT, {})


def status_of(worker: WorkerHarness, label: str) -> EncoderStatus:
    with worker.database.read() as session:
        return encoder_named(session, label).status


def active_label(worker: WorkerHarness) -> str:
    with worker.database.read() as session:
        (label,) = [
            row.spec.label for row in all_encoders(session) if row.status is EncoderStatus.ACTIVE
        ]
        return label


@pytest.mark.usefixtures("catalogue")
def test_searches_change_to_what_was_learned_and_can_go_back(worker: WorkerHarness) -> None:
    job = run(worker)
    assert job.status is JobStatus.SUCCEEDED, job.error_detail
    result = result_as(job, AdaptResult)
    assert result.photos == 2 * LISTINGS
    assert result.refusal is None
    assert result.gain is not None
    assert result.gain > 0.1
    assert result.encoder is not None
    assert active_label(worker) == result.encoder
    library = EncoderLibrary("hog", None, worker.runtime.config.models_dir)
    with worker.database.read() as session:
        encoder = encoder_named(session, result.encoder)
        assert not photos_lacking(session, encoder.id)
        previous = previous_encoder(session)
        assert previous
        assert previous.spec == worker.encoder.spec
    assert library.base_of(encoder.spec) == worker.encoder.spec
    # No photo was read: their files do not exist.
    assert worker.encoder.embedded == 0


def test_shuffled_categories_change_nothing(
    worker: WorkerHarness,
) -> None:
    photos, vectors = made_up(listings=LISTINGS, dimension=worker.encoder.spec.dimension)
    names = sorted(set(photos.categories))
    shuffled = [names[(row * 7 + row // 11) % len(names)] for row in range(LISTINGS)]
    relabelled = LabelledPhotos(
        photos.hashes,
        photos.listings,
        tuple(shuffled[row // 2] for row in range(len(photos))),
        photos.fetch,
    )
    fill(worker, relabelled, vectors[:, ::-1].copy())
    worker.reindex()
    result = result_as(run(worker), AdaptResult)
    assert result.encoder is None
    assert result.refusal
    assert active_label(worker) == worker.encoder.spec.label
    assert not list(worker.runtime.config.models_dir.glob("*adapted*"))


def test_too_little_to_learn_from_is_an_answer(worker: WorkerHarness) -> None:
    worker.list_pictures(1)
    result = result_as(run(worker), AdaptResult)
    assert result.encoder is None
    assert result.refusal
    assert "needs 50 listings" in result.refusal


KILLS: dict[str, tuple[Any, str]] = {
    "after it has learned": (adapt, "adapt_encoder"),
    "while vectors are derived": (derivation, "add_derived"),
    "before the change is recorded": (adapt, "activate_migrated"),
    "after the change": (adapt, "_retire_earlier"),
}


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize("moment", KILLS)
def test_killed_at_any_step_it_is_taken_up_again_and_never_half(
    worker: WorkerHarness, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name = KILLS[moment]
    unbroken: Callable[..., Any] = getattr(module, name)

    def die(*given: Any, **named: Any) -> None:
        unbroken(*given, **named)
        raise Killed

    job_id = worker.accept(JobType.ADAPT, {})
    with monkeypatch.context() as broken:
        broken.setattr(module, name, die)
        with pytest.raises(Killed):
            run_job(worker.runtime, job_id)
    before = active_label(worker)
    assert (before != worker.encoder.spec.label) == (moment in CHANGED)
    with worker.database.write() as session:
        released = relaying.release_expired(session, worker.now() + 2 * LEASE, max_attempts=9)
    assert released == 1
    run_job(worker.runtime, job_id)
    job = worker.job(job_id)
    assert job.status is JobStatus.SUCCEEDED, job.error_detail
    result = result_as(job, AdaptResult)
    assert active_label(worker) == result.encoder
    with worker.database.read() as session:
        assert result.encoder
        assert not photos_lacking(session, encoder_named(session, result.encoder).id)


@pytest.mark.usefixtures("catalogue")
def test_a_rollback_returns_to_the_adapted_encoder_before_also_after_a_kill(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    with worker.database.write() as session:
        base = find_encoder(session, worker.encoder.spec)
        assert base
        # The tests' clock is ahead of the one that jobs are done by.
        base.activated_at = utc_now() - timedelta(days=1)
    labels = []
    for share in (0.40, 0.41, 0.42):  # each learns another map
        monkeypatch.setattr(learn, "KIND_SHARE", share)
        job_id = worker.accept(JobType.ADAPT, {})
        with monkeypatch.context() as broken:

            def die(*_: Any) -> None:
                raise Killed

            broken.setattr(adapt, "_retire_earlier", die)
            with pytest.raises(Killed):
                run_job(worker.runtime, job_id)
        with worker.database.write() as session:
            relaying.release_expired(session, worker.now() + 2 * LEASE, max_attempts=9)
        run_job(worker.runtime, job_id)
        assert worker.job(job_id).status is JobStatus.SUCCEEDED
        labels.append(active_label(worker))
    assert len(set(labels)) == 3
    with worker.database.read() as session:
        previous = previous_encoder(session)
    assert previous
    assert previous.spec.label == labels[1]
    # What no rollback returns to is embedded by no more.
    assert status_of(worker, labels[0]) is EncoderStatus.RETIRED


@pytest.mark.usefixtures("catalogue")
def test_an_encoder_with_a_category_head_is_left_alone(worker: WorkerHarness) -> None:
    path = head_path(worker.runtime.config.models_dir, worker.encoder.spec)
    path.parent.mkdir(parents=True)
    path.touch()
    result = result_as(run(worker), AdaptResult)
    assert result.refusal
    assert "has a category head" in result.refusal
    assert active_label(worker) == worker.encoder.spec.label


CHANGED = {"before the change is recorded", "after the change"}
"""Moments at which searches have changed already."""


@pytest.mark.usefixtures("catalogue")
def test_it_is_due_when_there_is_enough_and_again_with_half_as_much_more(
    worker: WorkerHarness,
) -> None:
    first = due(worker)
    assert first
    # One at a time.
    assert due(worker) is None
    run_job(worker.runtime, first.id)
    assert worker.job(first.id).status is JobStatus.SUCCEEDED
    assert due(worker) is None
    more, vectors = made_up(3, listings=LISTINGS // 2, dimension=worker.encoder.spec.dimension)
    renamed = replace(more, hashes=tuple(f"{row:063}f" for row in range(len(more))))
    with worker.database.read() as session:
        (active,) = (row for row in all_encoders(session) if row.status is EncoderStatus.ACTIVE)
    fill(worker, renamed, vectors)
    fill(
        worker,
        renamed,
        unit_rows(np.eye(len(more), active.dimension, dtype=np.float32) + 1),
        active.id,
    )
    assert due(worker) is None  # they are not in the index yet
    worker.do(JobType.REINDEX, {})
    assert due(worker)


def test_nothing_is_due_while_a_feed_is_taken_in_or_an_index_is_built(
    worker: WorkerHarness, catalogue: LabelledPhotos
) -> None:
    del catalogue
    build = worker.accept(JobType.REINDEX, {})
    assert due(worker) is None
    run_job(worker.runtime, build)
    for number in range(auto_adapt.BUSY_JOBS + 1):
        worker.accept(JobType.EMBED, {"photo_ids": [number + 1]})
    assert due(worker) is None


@pytest.mark.usefixtures("catalogue")
def test_after_a_failure_an_hour_passes(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Conflict("it can't be done")

    monkeypatch.setattr(adapt, "adapt_encoder", fail)
    assert run(worker).status is JobStatus.FAILED
    assert due(worker) is None
    now = utc_now() + auto_adapt.BACKOFF_AFTER_FAILURE + timedelta(seconds=1)
    assert due(worker, now)


@pytest.mark.usefixtures("catalogue")
def test_a_feed_is_not_adapted_to_right_after_it_was_taken_in(worker: WorkerHarness) -> None:
    with worker.database.write() as session:
        for number in range(auto_adapt.BUSY_JOBS + 1):
            payload = EmbedPayload(photo_ids=(number,))
            job = accepting.accept(session, payload, job_id=uuid4(), now=utc_now())
            cancelling.cancel(session, job.id, utc_now())
    assert not due(worker)
    assert due(worker, utc_now() + auto_adapt.QUIET_FOR)


def due(worker: WorkerHarness, now: datetime | None = None) -> Job | None:
    return adapt_if_due(worker.database, clock=lambda: now or utc_now(), new_id=uuid4)
