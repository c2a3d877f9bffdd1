"""A database that is away for a moment costs a job neither its attempt nor its message."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from threading import Timer

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.domain.types import JobStatus, JobType
from tests.support.pictures import jpeg
from tests.support.workers import WorkerHarness
from workers import outcomes, tasks
from workers.tasks import run_job

WRITER_WAITS_MS = 200
LOCKED_S = 3


@contextmanager
def locked(worker: WorkerHarness) -> Iterator[None]:
    """Somebody else holds the lock of SQLite's writers, for longer than they wait."""
    file = worker.database.engine.url.database
    assert file
    with closing(sqlite3.connect(file, check_same_thread=False)) as held:
        held.execute("BEGIN IMMEDIATE")
        release = Timer(LOCKED_S, held.rollback)
        release.start()
        try:
            yield
        finally:
            release.join()


@pytest.fixture
def on_sqlite(worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> WorkerHarness:
    """A worker whose writers wait a moment only."""
    if worker.database.engine.dialect.name != "sqlite":
        pytest.skip("the lock is SQLite's")
    monkeypatch.setattr("db.session.BUSY_TIMEOUT_MS", WRITER_WAITS_MS)
    worker.database.close()
    return worker


def test_what_can_not_be_stored_now_is_handed_back_once_it_can(
    on_sqlite: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "RECORD_AGAIN_AFTER_S", 0.1)
    monkeypatch.setattr(tasks, "REST_S", 0)
    worker = on_sqlite
    _, photo_ids = worker.list_photos(jpeg(1))
    job_id = worker.accept(JobType.EMBED, {"photo_ids": photo_ids})
    embed = worker.encoder.embed
    lock = locked(worker)

    def embed_while_it_is_locked(photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        lock.__enter__()
        return embed(photos)

    with monkeypatch.context() as patched:
        patched.setattr(worker.encoder, "embed", embed_while_it_is_locked)
        run_job(worker.runtime, job_id)
    lock.__exit__(None, None, None)
    job = worker.job(job_id)
    assert (job.status, job.attempt, job.attempts_before) == (JobStatus.QUEUED, 1, 1)
    run_job(worker.runtime, job_id)
    assert worker.job(job_id).done == 1


def test_a_message_waits_for_the_database(
    on_sqlite: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "REST_S", 0.1)
    worker = on_sqlite
    _, photo_ids = worker.list_photos(jpeg(1))
    job_id = worker.accept(JobType.EMBED, {"photo_ids": photo_ids})
    with locked(worker):
        run_job(worker.runtime, job_id)
    job = worker.job(job_id)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 1)
