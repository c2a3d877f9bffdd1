"""Which photo ends a worker is found by one more death, and the others are embedded."""

from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from db.catalogue.listing_photos import photo_hashes
from db.jobs import cancelling, relaying
from db.jobs.claiming import claim as claim_job
from db.tables import Job
from db.vectors.embeddings import count_live, embedded
from models.domain.errors import NotReady, Unavailable, WeightsError
from models.domain.job_payloads import OneByOne
from models.domain.job_results.embeddings import EmbedResult
from models.domain.types import JobStatus, JobType
from models.photo_decoding import decode
from tests.support.payloads import result_as
from tests.support.pictures import jpeg
from tests.support.workers import LEASE, WorkerHarness
from workers.embedding.one_by_one import ATTEMPTS_ALONE, GIVEN_UP
from workers.tasks import run_job

PHOTOS = 9
SEEDS = count(1)


class Died(BaseException):
    """The process has ended: nothing in it runs on."""


@pytest.fixture
def deadly(worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Widths of photos with which the worker dies while it embeds them."""
    widths: set[int] = set()
    embed = worker.encoder.embed

    def embed_or_die(photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        if widths & {photo.width for photo in photos}:
            raise Died
        return embed(photos)

    monkeypatch.setattr(worker.encoder, "embed", embed_or_die)
    return widths


def listed(worker: WorkerHarness, number: int = PHOTOS) -> list[int]:
    """The ids of photos that nobody has had before, whose widths are 200 and more."""
    _, photo_ids = worker.list_photos(
        *(jpeg(next(SEEDS), (200 + one, 160)) for one in range(number))
    )
    return sorted(photo_ids)


def done_however_often_it_dies(
    worker: WorkerHarness, photo_ids: Sequence[int], at_most: int
) -> tuple[Job, int]:
    """The job once it has ended, and how many workers have died of it."""
    job_id = worker.accept(JobType.EMBED, {"photo_ids": list(photo_ids)})
    for deaths in range(at_most + 1):
        try:
            run_job(worker.runtime, job_id)
        except Died:
            release(worker)
        if worker.job(job_id).status.terminal:
            return worker.job(job_id), deaths
    raise AssertionError(f"it has not ended after {at_most} deaths")


def width_of(worker: WorkerHarness, sha256: str) -> int:
    return decode(worker.runtime.store.get(sha256)).width


def release(worker: WorkerHarness) -> None:
    """As the relay does once a lease has ended."""
    now = worker.database.now() + 2 * LEASE
    with worker.database.write() as session:
        relaying.release_expired(session, now, worker.runtime.config.max_attempts)


def having_vectors(worker: WorkerHarness, photo_ids: Sequence[int]) -> set[int]:
    with worker.database.read() as session:
        return embedded(session, worker.encoder_id, photo_ids)


@pytest.mark.parametrize("culprit", [0, 4, PHOTOS - 1])
def test_a_photo_that_ends_its_worker_fails_alone(
    worker: WorkerHarness, deadly: set[int], culprit: int
) -> None:
    photo_ids = listed(worker)
    deadly.add(200 + culprit)
    job, deaths = done_however_often_it_dies(worker, photo_ids, 1 + ATTEMPTS_ALONE)
    assert deaths == 1 + ATTEMPTS_ALONE
    assert (job.status, job.done, job.failed) == (JobStatus.SUCCEEDED, PHOTOS - 1, 1)
    (error,) = result_as(job, EmbedResult).errors
    assert error.code == GIVEN_UP
    assert error.photo is not None
    assert width_of(worker, error.photo) == 200 + culprit
    assert len(having_vectors(worker, photo_ids)) == PHOTOS - 1


def test_others_are_stored_before_the_worker_dies_again(
    worker: WorkerHarness, deadly: set[int]
) -> None:
    photo_ids = listed(worker)
    deadly.add(200 + 4)
    job_id = worker.accept(JobType.EMBED, {"photo_ids": photo_ids})
    with pytest.raises(Died):
        run_job(worker.runtime, job_id)
    release(worker)
    assert having_vectors(worker, photo_ids) == set()
    worker.encoder.embedded = 0
    for _ in range(ATTEMPTS_ALONE):
        with pytest.raises(Died):
            run_job(worker.runtime, job_id)
        assert len(having_vectors(worker, photo_ids)) == worker.encoder.embedded
        release(worker)
    assert worker.encoder.embedded == PHOTOS - 1


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(culprits=st.sets(st.integers(0, 5), max_size=4))
def test_any_photos_that_end_workers_fail_and_no_others(
    worker: WorkerHarness, deadly: set[int], culprits: set[int]
) -> None:
    photo_ids = listed(worker, 6)
    deadly.clear()
    deadly.update(200 + culprit for culprit in culprits)
    with worker.database.read() as session:
        stored = photo_hashes(session, photo_ids)
    # By width, which is not in the order of ids.
    hashes = {width_of(worker, sha256) - 200: sha256 for sha256 in stored.values()}
    most = 1 + ATTEMPTS_ALONE * len(culprits)
    job, _ = done_however_often_it_dies(worker, photo_ids, most)
    assert job.status is JobStatus.SUCCEEDED
    failed = {error.photo for error in result_as(job, EmbedResult).errors}
    assert failed == {hashes[culprit] for culprit in culprits}
    assert len(having_vectors(worker, photo_ids)) == 6 - len(culprits)


def test_a_job_of_nothing_else_fails_and_can_be_retried(
    worker: WorkerHarness, deadly: set[int]
) -> None:
    photo_ids = listed(worker, 1)
    deadly.add(200)
    job, _ = done_however_often_it_dies(worker, photo_ids, 1 + ATTEMPTS_ALONE)
    assert (job.status, job.error_code) == (JobStatus.FAILED, GIVEN_UP)
    assert "with this photo alone" in (job.error_detail or "")
    deadly.clear()
    with worker.database.write() as session:
        cancelling.retry(session, job.id, worker.now())
    run_job(worker.runtime, job.id)
    assert worker.job(job.id).status is JobStatus.SUCCEEDED


def test_a_worker_that_is_killed_by_others_costs_no_photo(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even more often than a job has attempts, if it is another photo each time."""
    photo_ids = listed(worker)
    embed, met = worker.encoder.embed, set[int]()

    def die_once_with_each(photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        new = {photo.width for photo in photos} - met
        if new:
            met.add(min(new))
            raise Died
        return embed(photos)

    monkeypatch.setattr(worker.encoder, "embed", die_once_with_each)
    job, deaths = done_however_often_it_dies(worker, photo_ids, 2 * PHOTOS)
    assert deaths > worker.runtime.config.max_attempts
    assert (job.status, job.done, job.failed) == (JobStatus.SUCCEEDED, PHOTOS, 0)


def test_a_photo_that_breaks_the_encoder_fails_alone(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo_ids = listed(worker)
    embed = worker.encoder.embed

    def embed_or_break(photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        if any(photo.width == 204 for photo in photos):
            raise ZeroDivisionError
        return embed(photos)

    monkeypatch.setattr(worker.encoder, "embed", embed_or_break)
    job_id = worker.accept(JobType.EMBED, {"photo_ids": photo_ids})
    run_job(worker.runtime, job_id)
    assert having_vectors(worker, photo_ids) == set()
    run_job(worker.runtime, job_id)
    assert len(having_vectors(worker, photo_ids)) == PHOTOS - 1
    run_job(worker.runtime, job_id)
    job = worker.job(job_id)
    assert (job.status, job.done, job.failed) == (JobStatus.SUCCEEDED, PHOTOS - 1, 1)
    assert [error.code for error in result_as(job, EmbedResult).errors] == [GIVEN_UP]


def test_an_outage_is_no_photos_fault(
    worker: WorkerHarness, deadly: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo_ids = listed(worker, 3)
    job_id = worker.accept(JobType.EMBED, {"photo_ids": photo_ids})
    deadly.add(202)
    with pytest.raises(Died):
        run_job(worker.runtime, job_id)
    release(worker)
    deadly.clear()
    monkeypatch.setattr("workers.tasks.REST_S", 0)
    store = type(worker.runtime.store)

    def away(_self: object, _digest: str) -> bytes:
        raise Unavailable("The photo store has gone.")

    with monkeypatch.context() as patched:
        patched.setattr(store, "get", away)
        for _ in range(worker.runtime.config.max_attempts + ATTEMPTS_ALONE):
            run_job(worker.runtime, job_id)
    job = worker.job(job_id)
    assert job.status is JobStatus.QUEUED
    assert OneByOne.model_validate(job.payload["one_by_one"]) == OneByOne()
    run_job(worker.runtime, job_id)
    assert worker.job(job_id).done == 3
    with worker.database.read() as session:
        assert count_live(session, worker.encoder_id) == 3


@pytest.mark.parametrize(
    ("raised", "counts"),
    [(Unavailable, False), (NotReady, True), (ZeroDivisionError, True), (WeightsError, None)],
)
def test_only_what_is_the_jobs_fault_is_an_attempt(
    worker: WorkerHarness,
    monkeypatch: pytest.MonkeyPatch,
    raised: Callable[[str], Exception],
    counts: bool | None,
) -> None:
    """None: it fails at once."""
    monkeypatch.setattr("workers.tasks.REST_S", 0)

    def broken(_photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        raise raised("away")

    monkeypatch.setattr(worker.encoder, "embed", broken)
    job_id = worker.accept(JobType.EMBED, {"photo_ids": listed(worker, 1)})
    pauses = []
    for _ in range(7):
        before = worker.database.now()
        run_job(worker.runtime, job_id)
        job = worker.job(job_id)
        if job.status is JobStatus.QUEUED:
            pauses.append((job.publish_after - before).total_seconds())
    if counts is False:
        # From before the job was run, which may take a while.
        for pause, least in zip(pauses, [1, 2, 4, 8, 16, 16, 16], strict=True):
            assert least <= pause < least + 5
        with worker.database.write() as session:
            owned = claim_job(session, job_id, worker.database.now(), LEASE)
        assert owned is not None
        assert owned.tries == 1
    else:
        assert job.status is JobStatus.FAILED
        assert (len(pauses) == 0) is (counts is None)
