"""The adapt job changes to an int8 network that is as good; what it replaces can be returned to."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Event, Thread
from time import sleep
from typing import Any, NoReturn

import numpy as np
import pytest

from db.jobs import reading, relaying
from db.vectors import generations
from db.vectors.encoders import (
    activate_encoder,
    active_encoder,
    encoder_named,
    register_encoder,
    retire_encoder,
)
from models.adaptation import trial
from models.domain.clock import utc_now
from models.domain.job_results.encoders import AdaptResult
from models.domain.types import EncoderSpec, EncoderStatus, JobStatus, JobType, Precision
from models.encoders.encoder import unit_rows
from models.encoders.library import EncoderLibrary
from models.encoders.networks.architectures import EFFICIENTNET_LITE0
from models.head import head_path
from tests.support.adaptation import made_up
from tests.support.embedded_catalogue import fill
from tests.support.encoder import ThumbnailEncoder
from tests.support.payloads import result_as
from tests.support.workers import LEASE, WorkerHarness
from workers.encoders.auto_adapt import REPLACED_KEPT_FOR, retire_replaced
from workers.encoders.quantising import NotQuantised
from workers.jobs import adapt
from workers.tasks import run_job

LISTINGS = 120


class Killed(BaseException):
    """As a signal would, nothing that is written catches it."""


@pytest.fixture(autouse=True)
def _few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "MIN_LISTINGS", 50)


@pytest.fixture
def float32(worker: WorkerHarness) -> EncoderSpec:
    """A network's float32 encoder, active."""
    encoder, encoder_id = worker.add_encoder(EFFICIENTNET_LITE0.name)
    with worker.database.write() as session:
        row = activate_encoder(session, encoder_id, worker.now(), force=True)
        # The tests' clock is ahead of the one that jobs are done by.
        row.activated_at = utc_now() - timedelta(days=2)
        retire_encoder(session, worker.encoder_id)
    return encoder.spec


@pytest.fixture
def int8(
    worker: WorkerHarness, float32: EncoderSpec, monkeypatch: pytest.MonkeyPatch
) -> EncoderSpec:
    """What an export of it gives: only the export itself is not made."""
    encoder = ThumbnailEncoder("int8")
    encoder.spec = replace(encoder.spec, name=float32.name, precision=Precision.INT8)
    worker.library.encoders[encoder.spec] = encoder
    exported: list[EncoderSpec] = []

    def quantise(*_: object) -> EncoderSpec:
        exported.append(encoder.spec)
        return encoder.spec

    def int8_of(_: EncoderLibrary, spec: EncoderSpec) -> EncoderSpec | None:
        assert spec == float32
        return exported[0] if exported else None

    monkeypatch.setattr(adapt, "quantise", quantise)
    monkeypatch.setattr(EncoderLibrary, "int8_of", int8_of)
    return encoder.spec


def id_of(worker: WorkerHarness, spec: EncoderSpec) -> int:
    with worker.database.write() as session:
        return register_encoder(session, spec, worker.now())


def fill_both(worker: WorkerHarness, float32: EncoderSpec, int8: EncoderSpec) -> None:
    """Listings whose vectors tell categories apart, by both encoders, indexed by the active one."""
    photos, vectors = made_up(listings=LISTINGS, dimension=float32.dimension)
    noise = np.random.default_rng(9).normal(0, 0.005, vectors.shape)
    fill(worker, photos, vectors, id_of(worker, float32))
    fill(worker, photos, unit_rows((vectors + noise).astype(np.float32)), id_of(worker, int8))
    worker.reindex()


def status_of(worker: WorkerHarness, spec: EncoderSpec) -> EncoderStatus:
    with worker.database.read() as session:
        return encoder_named(session, spec.fingerprint).status


def active(worker: WorkerHarness) -> str:
    with worker.database.read() as session:
        row = active_encoder(session)
        assert row
        return row.spec.label


def done(worker: WorkerHarness) -> AdaptResult:
    job = worker.do(JobType.ADAPT, {})
    assert job.status is JobStatus.SUCCEEDED, job.error_detail
    return result_as(job, AdaptResult)


@contextmanager
def embed_worker(worker: WorkerHarness) -> Generator[None]:
    """Another worker, that embeds."""
    ended = Event()

    def work() -> None:
        while not ended.wait(0.02):
            with worker.database.read() as session:
                due = reading.due_of(session, [JobType.EMBED], worker.now())
            for job_id in due:
                run_job(worker.runtime, job_id)

    thread = Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_searches_change_to_int8_and_then_to_what_is_adapted_from_it(
    worker: WorkerHarness, float32: EncoderSpec, int8: EncoderSpec
) -> None:
    fill_both(worker, float32, int8)
    result = done(worker)
    assert result.int8 == int8.label
    assert result.int8_refusal is None
    assert result.refusal is None
    assert active(worker) == result.encoder
    library = EncoderLibrary("hog", None, worker.runtime.config.models_dir)
    with worker.database.read() as session:
        assert result.encoder
        adapted = encoder_named(session, result.encoder).spec
    assert library.base_of(adapted) == int8
    # A rollback takes a second for a day, and no photo is embedded by both after that.
    assert result.replaced == (float32.label,)
    assert status_of(worker, float32) is EncoderStatus.FOLLOWED
    assert retire_replaced(worker.database, utc_now()) == []
    later = utc_now() + REPLACED_KEPT_FOR + timedelta(minutes=1)
    assert retire_replaced(worker.database, later) == [float32.label]
    assert status_of(worker, float32) is EncoderStatus.RETIRED
    assert retire_replaced(worker.database, later) == []
    assert active(worker) == result.encoder


def test_what_an_index_is_being_built_of_is_retired_another_time(
    worker: WorkerHarness, float32: EncoderSpec, int8: EncoderSpec
) -> None:
    fill_both(worker, float32, int8)
    done(worker)
    later = utc_now() + REPLACED_KEPT_FOR + timedelta(minutes=1)
    build, encoder_id = worker.accept(JobType.REINDEX, {}), id_of(worker, float32)
    with worker.database.write() as session:
        generations.begin(session, encoder_id, build, worker.now())
    assert retire_replaced(worker.database, later) == []
    assert status_of(worker, float32) is EncoderStatus.FOLLOWED


def test_who_has_returned_to_float32_keeps_it(
    worker: WorkerHarness, float32: EncoderSpec, int8: EncoderSpec
) -> None:
    fill_both(worker, float32, int8)
    done(worker)
    with worker.database.write() as session:
        activate_encoder(session, id_of(worker, float32), worker.now())
    later = utc_now() + REPLACED_KEPT_FOR + timedelta(minutes=1)
    assert retire_replaced(worker.database, later) == []
    assert active(worker) == float32.label
    # Another try leaves int8 alone: somebody has returned from it.
    again = done(worker)
    assert again.int8 is None
    assert again.replaced == ()


def test_photos_are_embedded_by_the_workers_that_embed(
    worker: WorkerHarness, float32: EncoderSpec, int8: EncoderSpec
) -> None:
    for seed in range(40):
        worker.list_pictures(seed)
    worker.reindex()
    with embed_worker(worker):
        result = done(worker)
    assert result.int8 == int8.label
    assert active(worker) == int8.label
    assert result.refusal
    assert "An adaptation needs" in result.refusal
    encoder = worker.library.encoders[int8]
    assert isinstance(encoder, ThumbnailEncoder)
    assert encoder.embedded >= 40
    assert result.replaced == (float32.label,)


def test_one_that_finds_less_is_given_up(
    worker: WorkerHarness, float32: EncoderSpec, int8: EncoderSpec
) -> None:
    photos, vectors = made_up(listings=LISTINGS, dimension=float32.dimension)
    fill(worker, photos, vectors, id_of(worker, float32))
    noise = np.random.default_rng(9).normal(0, 1, vectors.shape)
    fill(worker, photos, unit_rows(noise.astype(np.float32)), id_of(worker, int8))
    worker.reindex()
    result = done(worker)
    assert result.int8 is None
    assert result.int8_refusal
    assert "finds less" in result.int8_refusal
    assert status_of(worker, int8) is EncoderStatus.RETIRED
    # What the float32 one's vectors teach is taken all the same.
    assert active(worker) == result.encoder


def test_an_export_that_is_refused_leaves_all_as_it_is(
    worker: WorkerHarness,
    float32: EncoderSpec,
    int8: EncoderSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill_both(worker, float32, int8)

    def refuse(*_: object) -> NoReturn:
        raise NotQuantised("it is slower")

    monkeypatch.setattr(adapt, "quantise", refuse)
    result = done(worker)
    assert (result.int8, result.int8_refusal) == (None, "it is slower")
    assert result.refusal is None
    assert status_of(worker, int8) is EncoderStatus.REGISTERED


# It takes seconds of waiting, and the database makes no difference.
@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_an_export_that_says_nothing_for_long_keeps_its_lease(
    worker: WorkerHarness,
    float32: EncoderSpec,
    int8: EncoderSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill_both(worker, float32, int8)
    short = replace(worker.runtime.config, lease=timedelta(seconds=2))
    expired: list[bool] = []

    def quantise_slowly(*_: object) -> NoReturn:
        sleep(3)
        with worker.database.read() as session:
            expired.append(relaying.any_expired(session, utc_now()))
        raise NotQuantised("it is slower")

    monkeypatch.setattr(adapt, "quantise", quantise_slowly)
    job_id = worker.accept(JobType.ADAPT, {})
    run_job(replace(worker.runtime, config=short), job_id)
    assert expired == [False]
    assert worker.job(job_id).status is JobStatus.SUCCEEDED


@pytest.fixture
def adapted(
    worker: WorkerHarness,
    float32: EncoderSpec,
    int8: EncoderSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The label of an adapted encoder of the float32 network, active."""
    fill_both(worker, float32, int8)
    with monkeypatch.context() as without:
        without.setattr(adapt, "wants_int8", lambda *_: False)
        label = done(worker).encoder
    assert label
    assert active(worker) == label
    return label


def test_an_adapted_encoder_is_replaced_by_one_that_int8_is_adapted_to(
    worker: WorkerHarness, float32: EncoderSpec, int8: EncoderSpec, adapted: str
) -> None:
    result = done(worker)
    assert result.int8 == int8.label
    assert result.encoder
    assert active(worker) == result.encoder != adapted
    assert {*result.replaced} == {float32.label, adapted}
    assert status_of(worker, int8) is EncoderStatus.FOLLOWED


def test_the_int8_network_of_the_active_encoder_is_kept_when_no_more_is_learned(
    worker: WorkerHarness, int8: EncoderSpec, adapted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = done(worker).encoder
    assert label != adapted
    monkeypatch.setattr(trial, "MIN_GAIN", 2.0)
    again = done(worker)
    assert again.refusal
    assert (again.int8, again.int8_refusal) == (int8.label, None)
    assert active(worker) == label
    assert status_of(worker, int8) is EncoderStatus.FOLLOWED


@pytest.mark.usefixtures("float32")
def test_int8_is_given_up_if_what_is_adapted_to_it_is_refused(
    worker: WorkerHarness,
    int8: EncoderSpec,
    adapted: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trial, "MIN_GAIN", 2.0)
    result = done(worker)
    assert result.refusal
    assert result.int8 is None
    assert result.int8_refusal
    assert active(worker) == adapted
    assert status_of(worker, int8) is EncoderStatus.RETIRED


def test_the_category_head_of_an_adapted_encoder_is_left_its_encoder(
    worker: WorkerHarness, int8: EncoderSpec, adapted: str
) -> None:
    with worker.database.read() as session:
        spec = encoder_named(session, adapted).spec
    head_path(worker.runtime.config.models_dir, spec).touch()
    result = done(worker)
    assert result.refusal == adapt.HAS_HEAD
    assert (result.int8, result.int8_refusal) == (None, None)
    assert active(worker) == adapted
    assert status_of(worker, int8) is EncoderStatus.REGISTERED


KILLS = {
    "after the export": "quantise",
    "after the change to int8": "activate_migrated",
    "after it has learned": "adapt_encoder",
}


@pytest.mark.parametrize("moment", KILLS)
def test_killed_at_any_step_it_is_taken_up_again_and_never_half(
    worker: WorkerHarness,
    float32: EncoderSpec,
    int8: EncoderSpec,
    moment: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill_both(worker, float32, int8)
    unbroken: Callable[..., Any] = getattr(adapt, KILLS[moment])

    def die(*given: Any, **named: Any) -> NoReturn:
        unbroken(*given, **named)
        raise Killed

    job_id = worker.accept(JobType.ADAPT, {})
    with monkeypatch.context() as broken:
        broken.setattr(adapt, KILLS[moment], die)
        with pytest.raises(Killed):
            run_job(worker.runtime, job_id)
    assert active(worker) == (float32 if moment == "after the export" else int8).label
    with worker.database.write() as session:
        assert relaying.release_expired(session, worker.now() + 2 * LEASE, max_attempts=9) == 1
    run_job(worker.runtime, job_id)
    job = worker.job(job_id)
    assert job.status is JobStatus.SUCCEEDED, job.error_detail
    result = result_as(job, AdaptResult)
    assert result.int8 == int8.label
    assert active(worker) == result.encoder
    assert result.replaced == (float32.label,)
