"""Hard photos, long work and outages of the store cost time, and never an innocent's vector."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import httpx2
import psutil
import pytest
from sqlalchemy import select

from db.consumption import record_consumption
from db.jobs import reading
from db.session import Database
from db.tables import Job
from db.vectors.generations import all_generations
from models.domain.errors import Unavailable
from models.domain.job_results.embeddings import EmbedResult, PhotoError
from models.domain.job_results.indexes import BuiltIndex
from models.domain.types import ENDED_STATUSES, JobStatus
from settings import Settings
from tests.support.faults import in_rounds, on_both_databases, rounds
from tests.support.ledger import Kind
from tests.support.loaded_machine import LoadedMachine, LoadRate, Trial, loaded_machine
from tests.support.payloads import result_as
from tests.support.pictures import jpeg
from tests.support.troubled_worker import (
    AHEAD,
    CLOCK_AHEAD_S,
    HANGING_WIDTH,
    KILLING_WIDTH,
    SLOW_S,
    TroubledCommands,
)
from tests.support.waiting import wait_until
from workers.embedding.one_by_one import GIVEN_UP
from workers.generations.request import accept_reindex

pytestmark = pytest.mark.e2e

QUIET = LoadRate(searchers=1, held_searchers=0, sell_pause_s=1)
SELDOM = LoadRate(searchers=1, held_searchers=0, sell_pause_s=6)
INNOCENT = (200, 160)
EMBEDDED_AGAIN_S = 30


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has machines start some commands with a trouble that variables of the environment say."""

    def make(*commands: str, **environment: str) -> None:
        monkeypatch.setattr("ops.machine.marketlens_command", TroubledCommands(*commands))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return make


def send(loaded: LoadedMachine, photos: list[bytes]) -> UUID:
    """A bulk request of listings with a photo each; gives its only embed job."""
    rows = [
        {"title": f"Row {time.monotonic_ns()}", "photos": [f"p{number}"]}
        for number in range(len(photos))
    ]
    files = [("listings", ("rows.ndjson", "\n".join(map(json.dumps, rows)).encode()))]
    files += [(f"p{number}", ("photo.jpg", photo)) for number, photo in enumerate(photos)]
    answer = httpx2.post(f"{loaded.machine.url}/v1/listings:batch", files=files, timeout=60)
    assert answer.status_code == 202, answer.text
    with loaded.database.read() as session:
        job_id: UUID = session.scalars(
            select(Job.id).where(Job.parent_id == UUID(answer.json()["id"]))
        ).one()
        return job_id


def ended(database: Database, job_id: UUID, timeout_s: float = 120) -> Job:
    """The job, once it has ended."""

    def job() -> Job:
        with database.read() as session:
            return reading.get(session, job_id)

    wait_until(lambda: job().status in ENDED_STATUSES, timeout_s)
    return job()


def errors_of(job: Job) -> list[PhotoError]:
    return list(result_as(job, EmbedResult).errors)


@contextmanager
def store_away(loaded: LoadedMachine) -> Iterator[None]:
    """Within this, the folder of the photo store has gone, as one that is not mounted has."""
    photos = Path(loaded.machine.settings.photo_store_url)
    away = photos.with_name("away")
    photos.rename(away)
    try:
        yield
    finally:
        # Fails if anything has made another folder there, whose photos this one would hide.
        away.rename(photos)


def handed_back(database: Database, job_id: UUID) -> int:
    with database.read() as session:
        return reading.get(session, job_id).attempts_before


def test_hard_photos_and_a_store_that_is_away(
    settings_on: Callable[..., Settings], trouble: Callable[..., None]
) -> None:
    """A photo that kills fails alone; a store that has gone for a moment fails nothing."""
    trouble("worker embed")
    with loaded_machine(settings_on("sqlite"), QUIET) as loaded:
        photos = [jpeg(seed, INNOCENT) for seed in range(7)]
        job = ended(loaded.database, send(loaded, [*photos, jpeg(8, (KILLING_WIDTH, 160))]))
        assert (job.status, job.done, job.failed) == (JobStatus.SUCCEEDED, 7, 1)
        (error,) = errors_of(job)
        assert error.code == GIVEN_UP
        assert "with this photo alone" in error.detail

        # Takes no job meanwhile. Its child might hold the database's only lock.
        parent = loaded.worker("embed")
        parent.suspend()
        job_id = send(loaded, [jpeg(seed, INNOCENT) for seed in range(20, 24)])
        with store_away(loaded):
            parent.resume()
            wait_until(lambda: handed_back(loaded.database, job_id))
            refused = httpx2.post(
                f"{loaded.machine.url}/v1/searches", files={"photo": jpeg(30)}, timeout=60
            )
            assert refused.status_code == httpx2.codes.SERVICE_UNAVAILABLE
        job = ended(loaded.database, job_id)
        assert (job.status, job.done, errors_of(job)) == (JobStatus.SUCCEEDED, 4, [])
        Trial(loaded).judge("hard photos and a store away, once")


@in_rounds
@on_both_databases
def test_photos_that_kill_or_hang_fail_alone(
    kind: str, settings_on: Callable[..., Settings], trouble: Callable[..., None]
) -> None:
    trouble("worker embed")
    with loaded_machine(settings_on(kind, photo_seconds=3), QUIET) as loaded:
        trial = Trial(loaded)
        for number in rounds(at_most=5):
            seeds = range(100 * number, 100 * number + 18)
            hard = [jpeg(number, (width, 160)) for width in (KILLING_WIDTH, HANGING_WIDTH)]
            photos = [*(jpeg(seed, INNOCENT) for seed in seeds), *hard]
            Random(number).shuffle(photos)
            began = time.monotonic()
            job = ended(loaded.database, send(loaded, photos))
            assert (job.status, job.done, job.failed) == (JobStatus.SUCCEEDED, 18, 2)
            assert {error.code for error in errors_of(job)} == {GIVEN_UP}
            trial.recovers(time.monotonic())
            note = f"a job with both ended after {time.monotonic() - began:.0f} s"
            alone = [
                ended(loaded.database, send(loaded, [jpeg(number + 50, (width, 160))]))
                for width in (KILLING_WIDTH, HANGING_WIDTH)
            ]
            assert {job.error_code for job in alone} == {GIVEN_UP}
        trial.judge("photos that kill and hang the decoder", note)


@in_rounds
@pytest.mark.parametrize("away_s", [8, 45])
def test_a_store_that_is_away(loaded_on: LoadedMachine, away_s: float) -> None:
    trial = Trial(loaded_on)
    for _ in rounds(at_most=3):
        with store_away(loaded_on):
            time.sleep(away_s)
        trial.recovers(time.monotonic())
    trial.judge(f"photo store away {away_s} s")
    assert trial.worst_s(Kind.LISTING) <= EMBEDDED_AGAIN_S


@in_rounds
@on_both_databases
@pytest.mark.parametrize("ahead", ["worker", "relay"])
def test_a_clock_an_hour_ahead_and_batches_longer_than_the_lease(
    kind: str,
    ahead: str,
    settings_on: Callable[..., Settings],
    trouble: Callable[..., None],
) -> None:
    trouble(ahead, "worker embed", **{CLOCK_AHEAD_S: "3600", SLOW_S: "2", AHEAD: ahead})
    with loaded_machine(settings_on(kind, lease_seconds=3), SELDOM) as loaded:
        trial = Trial(loaded)
        job = ended(loaded.database, send(loaded, [jpeg(seed, INNOCENT) for seed in range(20)]))
        assert (job.status, job.done, job.attempt) == (JobStatus.SUCCEEDED, 20, 1)
        trial.judge(f"batches longer than the lease, {ahead}'s clock an hour ahead")


@in_rounds
@on_both_databases
def test_a_worker_frozen_past_its_lease_ends_nothing_late(
    kind: str, settings_on: Callable[..., Settings], trouble: Callable[..., None]
) -> None:
    trouble("worker embed", **{SLOW_S: "1"})
    with loaded_machine(settings_on(kind, lease_seconds=3), SELDOM) as loaded:
        trial = Trial(loaded)
        for number in rounds(at_most=3):
            seeds = range(100 * number, 100 * number + 4)
            job_id = send(loaded, [jpeg(seed, INNOCENT) for seed in seeds])
            wait_until(lambda: status_of(loaded.database, job_id) is JobStatus.RUNNING)  # noqa: B023 - at once
            child = loaded.child("embed")
            suspend_outside_of_transactions(child, loaded.database)
            wait_until(lambda: status_of(loaded.database, job_id) is JobStatus.QUEUED)  # noqa: B023 - at once
            child.resume()
            job = ended(loaded.database, job_id)
            assert (job.status, job.done, job.attempt) == (JobStatus.SUCCEEDED, 4, 2)
            trial.recovers(time.monotonic())
        trial.judge("embed worker frozen past its lease")


@in_rounds
def test_a_full_disk_ends_a_reindex_while_the_generation_before_serves(
    settings_on: Callable[..., Settings],
) -> None:
    """The kernel refuses what the worker writes, as it does where there is no room."""
    with loaded_machine(settings_on("postgresql", max_attempts=2, auto_reindex=False)) as loaded:
        trial = Trial(loaded)
        ended(loaded.database, send(loaded, [jpeg(seed, INNOCENT) for seed in range(30)]))
        first = ended(loaded.database, reindex(loaded.database))
        assert first.status is JobStatus.SUCCEEDED
        loaded.child("index").rlimit(psutil.RLIMIT_FSIZE, (8192, psutil.RLIM_INFINITY))
        job = ended(loaded.database, reindex(loaded.database))
        assert (job.status, job.error_code) == (JobStatus.FAILED, "attempts_exhausted")
        assert "File too large" in (job.error_detail or "")
        with loaded.database.read() as session:
            live = [row.id for row in all_generations(session, 10) if row.status == "live"]
        assert live == [result_as(first, BuiltIndex).generation]
        loaded.child("index").rlimit(psutil.RLIMIT_FSIZE, (-1, -1))
        assert ended(loaded.database, reindex(loaded.database)).status is JobStatus.SUCCEEDED
        trial.judge("disk full while reindexing")


def suspend_outside_of_transactions(process: psutil.Process, database: Database) -> None:
    """SIGSTOP a process while it holds no lock that all others need."""
    while True:
        process.suspend()
        try:
            with database.write() as session:
                record_consumption(session, "nobody", database.now(), None)
        except Unavailable:
            process.resume()
        else:
            return


def status_of(database: Database, job_id: UUID) -> JobStatus:
    with database.read() as session:
        return reading.get(session, job_id).status


def reindex(database: Database) -> UUID:
    """A job that builds the index; the relay publishes it."""
    return accept_reindex(database, job_id=uuid4(), now=database.now()).id
