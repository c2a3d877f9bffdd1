"""The relay has match labels calibrated, and a migration before searches change."""

from collections.abc import Sequence
from threading import Event
from uuid import UUID, uuid4

import pytest

from db.jobs import reading
from db.tables import Job
from db.vectors.encoders import get_encoder
from models.domain.errors import Conflict
from models.domain.types import JobStatus, JobType
from models.matching import strangers
from models.matching.labels import stored_calibration
from tests.support.redis import broker_at
from tests.support.workers import WorkerHarness
from workers.encoders import auto_calibrate, calibrating, migration
from workers.encoders.migration import Migration, activate_migrated
from workers.queue.messages import PublishableJob, Queue
from workers.queue.publisher import JobPublisher
from workers.queue.relay import run_relay
from workers.tasks import run_job

LISTINGS = 10


class OneRound(Event):
    """Stops a relay when it first waits."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        self.set()
        return True


class ThisProcess:
    """Does jobs when somebody waits for them."""

    def __init__(self, worker: WorkerHarness) -> None:
        self._worker = worker

    def submit(self, accepted: Sequence[PublishableJob]) -> None:
        """They are done when they are waited for."""

    def step(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
        del queue
        for job_id in job_ids:
            run_job(self._worker.runtime, job_id)


@pytest.fixture
def catalogue(worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> WorkerHarness:
    monkeypatch.setattr(calibrating, "MIN_LISTINGS", LISTINGS)
    for module in (auto_calibrate, migration):
        monkeypatch.setattr(module, "MIN_PHOTOS", LISTINGS)
    monkeypatch.setattr(strangers, "EACH", 1)
    for seed in range(LISTINGS):
        worker.list_pictures(seed)
    worker.reindex()
    return worker


def last(worker: WorkerHarness) -> Job | None:
    with worker.database.read() as session:
        return reading.newest(session, JobType.CALIBRATE)


@pytest.mark.parametrize("every_s", [None, 10.0])
def test_the_relay_has_it_done_unless_told_not_to(
    catalogue: WorkerHarness, monkeypatch: pytest.MonkeyPatch, every_s: float | None
) -> None:
    # Ten photos were embedded just now.
    monkeypatch.setattr("workers.encoders.auto_adapt.BUSY_JOBS", 2 * LISTINGS)
    publisher = JobPublisher(broker_at("redis+socket:///nowhere/nobody.sock"))
    run_relay(
        catalogue.database,
        publisher,
        catalogue.now,
        3,
        OneRound(),
        auto_reindex=False,
        calibrate_every_s=every_s,
    )
    accepted = last(catalogue)
    assert (accepted is not None) == (every_s is not None)
    if accepted is not None:
        run_job(catalogue.runtime, accepted.id)
        done = last(catalogue)
        assert done
        assert done.status is JobStatus.SUCCEEDED


def test_a_migration_calibrates_before_searches_change(catalogue: WorkerHarness) -> None:
    other, other_id = catalogue.add_encoder("other")
    steps: list[str] = []
    migrated = Migration(
        catalogue.database,
        ThisProcess(catalogue),
        clock=catalogue.now,
        new_id=uuid4,
        on_progress=lambda step, *_: steps.append(step),
    ).run(other.spec)
    assert steps[-1] == "calibrating"
    assert catalogue.encoder_id != other_id
    with catalogue.database.read() as session:
        calibration = stored_calibration(get_encoder(session, other_id).matching)
    assert calibration
    assert calibration.photos == LISTINGS
    assert activate_migrated(catalogue.database, migrated, catalogue.now()) is None
    # Run again, it has nothing more to do.
    before = last(catalogue)
    assert before
    again = Migration(
        catalogue.database,
        ThisProcess(catalogue),
        clock=catalogue.now,
        new_id=uuid4,
        on_progress=lambda *_: None,
    )
    again.run(other.spec)
    after = last(catalogue)
    assert after
    assert after.id == before.id


def test_a_calibration_that_fails_does_not_stop_a_migration(
    catalogue: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Conflict("it can't be done")

    monkeypatch.setattr("workers.jobs.calibrate.calibrate_encoder", fail)
    other, other_id = catalogue.add_encoder("other")
    migrated = Migration(
        catalogue.database,
        ThisProcess(catalogue),
        clock=catalogue.now,
        new_id=uuid4,
        on_progress=lambda *_: None,
    ).run(other.spec)
    assert migrated.encoder.id == other_id
