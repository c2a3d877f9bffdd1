"""Changing the encoder under load: no search fails, none is mixed, nothing posted is lost."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from threading import Event, Thread

import httpx2
import psutil
import pytest
from sqlalchemy import select

from db.session import Database
from db.tables import Job
from db.vectors.encoders import all_encoders
from db.vectors.generations import all_generations
from models.domain.job_results.searches import SearchResult
from models.domain.types import EncoderSpec, JobStatus, JobType
from models.encoders.package import write_package
from ops.demo import HeldOut, search
from ops.machine import Machine, machine_up
from ops.processes import marketlens_command
from settings import Settings
from tests.support.machine import TIMEOUT_S, marketlens
from tests.support.networks import NETWORK, SMALL, write_weights
from tests.support.pictures import jpeg
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

SEARCHES_PER_S = 2


@pytest.fixture
def untrained(data_dir: Path) -> EncoderSpec:
    """A network that has learned nothing and sees little: another encoder, and a quick one."""
    weights = write_weights(data_dir / "untrained.safetensors")
    return write_package(
        data_dir / "models", NETWORK, weights=weights, transform=SMALL, facts={}
    ).spec


@dataclass
class Load:
    """Searches by the same photos over and over; what they found, and what went wrong."""

    results: list[SearchResult] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    @contextmanager
    def on(self, machine: Machine, views: list[HeldOut]) -> Iterator[None]:
        coming = cycle(views)
        with httpx2.Client(base_url=machine.url, timeout=TIMEOUT_S) as http:

            def ask() -> None:
                try:
                    self.results.append(search(http, next(coming).path, held_s=30).result)
                except Exception as error:  # noqa: BLE001 - all of it is told
                    self.failures.append(error)

            with in_background(ask, every_s=1 / SEARCHES_PER_S):
                yield


def migration_jobs(database: Database) -> list[Job]:
    with database.read() as session:
        rows = session.scalars(select(Job).where(Job.type == JobType.EMBED)).all()
    return [job for job in rows if "encoder_id" in job.payload]


@contextmanager
def watched(machine: Machine) -> Iterator[None]:
    """Restart what dies, as `marketlens up` does."""
    with in_background(machine.watch, every_s=0.1):
        yield


@contextmanager
def in_background(work: Callable[[], object], every_s: float) -> Iterator[None]:
    stop = Event()

    def run() -> None:
        while not stop.wait(every_s):
            work()

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Shopkeeper:
    """Posts listings that nobody has posted before, and looks for them."""

    def __init__(self, http: httpx2.Client, folder: Path) -> None:
        self._http = http
        self._folder = folder
        self.posted: dict[Path, str] = {}

    def post(self) -> None:
        """Post a listing; once its job is done, the next search must find it first."""
        number = len(self.posted)
        photo = self._folder / f"{number}.jpg"
        photo.write_bytes(jpeg(number))
        response = self._http.post(
            "/v1/listings",
            data={"listing": json.dumps({"title": f"Posted {number}"})},
            files=[("photos", (photo.name, photo.read_bytes()))],
        ).raise_for_status()
        self.posted[photo] = response.json()["listing_id"]
        place = response.headers["Location"]
        wait_until(lambda: self._http.get(place).json()["status"] == "succeeded", TIMEOUT_S)
        self.find()

    def find(self) -> str:
        """Find all that was posted; gives the encoder that did."""
        found = {photo: search(self._http, photo) for photo in self.posted}
        assert {photo: item.top1 for photo, item in found.items()} == self.posted
        encoder = next(iter(found.values())).result.encoder
        assert encoder
        return encoder


def kill_embed_worker(machine: Machine) -> None:
    worker = psutil.Process(machine.supervisor.process_of("embed").pid)
    for process in (*worker.children(), worker):
        process.kill()


def test_a_migration_under_load(
    data_dir: Path, tmp_path: Path, sample: Path, views: list[HeldOut], untrained: EncoderSpec
) -> None:
    settings = Settings(data_dir=data_dir, encoder="hog", port=8800, lease_seconds=3)
    load = Load()
    database = Database(settings.sqlalchemy_url)
    with machine_up(settings, print) as machine, watched(machine):
        machine.wait_until_ready()
        environment = machine.environment
        assert marketlens(environment, "seed", str(sample)).returncode == 0
        command = ("encoder", "migrate", untrained.label, "--json")
        with (
            httpx2.Client(base_url=machine.url, timeout=TIMEOUT_S) as http,
            load.on(machine, views),
        ):
            keeper = Shopkeeper(http, tmp_path)
            keeper.post()
            first = keeper.find()

            # Killed in the middle, and with it the worker that embeds.
            killed = subprocess.Popen(
                marketlens_command(*command), env=environment, stderr=subprocess.DEVNULL
            )
            wait_until(lambda: migration_jobs(database), TIMEOUT_S)
            killed.kill()
            killed.wait()
            kill_embed_worker(machine)
            keeper.post()

            # Begun again, it goes on.
            migrated = marketlens(environment, *command)
            assert migrated.returncode == 0, migrated.stderr
            report = json.loads(migrated.stdout.splitlines()[-1])
            assert (report["baseline"], report["activated"]) == (first, True)
            assert 0 < report["comparison"]["overlap_at_10"] < 1
            wait_until(lambda: keeper.find() == untrained.label, TIMEOUT_S)
            keeper.post()

            assert marketlens(environment, "encoder", "rollback").returncode == 0
            wait_until(lambda: keeper.find() == first, TIMEOUT_S)
            keeper.post()
    with database.read() as session:
        labels = {row.id: row.spec.label for row in all_encoders(session)}
        made_by = {row.id: labels[row.encoder_id] for row in all_generations(session, 100)}
    jobs = migration_jobs(database)
    database.close()
    assert load.failures == []
    assert {result.encoder for result in load.results} == {first, untrained.label}
    found_by = {(result.generation or 0, result.encoder) for result in load.results}
    assert found_by <= set(made_by.items())
    assert all(result.results for result in load.results)
    assert {job.status for job in jobs} == {JobStatus.SUCCEEDED}
