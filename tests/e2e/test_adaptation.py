"""A running machine learns from its catalogue by itself, whatever is killed meanwhile."""

import io
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from db.jobs import reading
from db.session import Database
from db.tables import Job
from db.vectors.encoders import active_encoder, all_encoders
from models.domain.job_results.encoders import AdaptResult
from models.domain.types import JobStatus, JobType, Precision
from ops.machine import Machine, machine_up
from settings import Settings
from tests.support.feeds import image_row, product_row, write_feed
from tests.support.machine import TIMEOUT_S, marketlens
from tests.support.payloads import result_as
from tests.support.waiting import wait_until
from workers.encoders.quantising import PROGRAM

pytestmark = pytest.mark.e2e

# An export in int8 alone takes a minute on a busy machine.
EXPORT_TIMEOUT_S = 5 * TIMEOUT_S
LISTINGS = 220
PHOTOS_EACH = 2
COLOURS = {
    "Home / Lamps": (200, 70, 70),
    "Home / Rugs": (120, 150, 60),
    "Toys / Cars": (150, 120, 150),
    "Toys / Dolls": (90, 90, 190),
}


def photo(category: str, item: int, view: int) -> bytes:
    """Noise around a colour of the item's own, near that of its category."""
    own = np.random.default_rng(item).normal(COLOURS[category], 20)
    pixels = np.random.default_rng((item, view)).normal(own, 90, (60, 60, 3))
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    """Listings of four categories in turn, each with two photos."""
    names = list(COLOURS)
    rows = [
        (item, PHOTOS_EACH * (item - 1) + view + 1, view)
        for item in range(1, LISTINGS + 1)
        for view in range(PHOTOS_EACH)
    ]
    return write_feed(
        tmp_path / "feed",
        [product_row(item, category=names[item % len(names)]) for item in range(1, LISTINGS + 1)],
        [image_row(number, item) for item, number, _ in rows],
        {number: photo(names[item % len(names)], item, view) for item, number, view in rows},
    )


@pytest.fixture(params=["hog"])
def machine(request: pytest.FixtureRequest, data_dir: Path, feed: Path) -> Iterator[Machine]:
    """A machine with that feed in it, and an encoder."""
    settings = Settings(data_dir=data_dir, encoder=request.param, port=8900, lease_seconds=3)
    with machine_up(settings, print) as machine:
        machine.wait_until_ready()
        seeded = marketlens(machine.environment, "seed", str(feed))
        assert seeded.returncode == 0, seeded.stderr
        yield machine


def adaptation(machine: Machine, database: Database) -> Job | None:
    """The job, if there is one yet."""
    machine.watch()
    with database.read() as session:
        return reading.newest(session, JobType.ADAPT)


def kill_index_worker(machine: Machine) -> None:
    worker = psutil.Process(machine.supervisor.process_of("index").pid)
    for process in (*worker.children(recursive=True), worker):
        process.kill()


def result_of(machine: Machine, database: Database) -> AdaptResult:
    """What came of the adaptation, when it has ended well."""

    def has_ended() -> bool:
        job = adaptation(machine, database)
        return job is not None and job.status.terminal

    wait_until(has_ended, EXPORT_TIMEOUT_S)
    job = adaptation(machine, database)
    assert job
    assert job.status is JobStatus.SUCCEEDED, job.error_detail
    return result_as(job, AdaptResult)


def test_it_changes_over_by_itself_and_a_killed_worker_takes_it_up_again(machine: Machine) -> None:
    with closing(Database(machine.settings.sqlalchemy_url)) as database:

        def is_running() -> bool:
            job = adaptation(machine, database)
            return job is not None and job.status is JobStatus.RUNNING

        wait_until(is_running, TIMEOUT_S)
        kill_index_worker(machine)
        with database.read() as session:
            before = active_encoder(session)
        assert before
        assert before.name == "hog"
        result = result_of(machine, database)
        with database.read() as session:
            active = active_encoder(session)
        assert active
        assert result.refusal is None
        assert active.spec.label == result.encoder
        assert active.name == "hog-adapted"
    back = marketlens(machine.environment, "encoder", "rollback")
    assert back.returncode == 0
    assert before.spec.label in back.stdout


@pytest.mark.skipif(
    "MARKETLENS_TEST_KILLS" not in os.environ, reason="takes two minutes: `make faults` runs it"
)
@pytest.mark.parametrize("machine", ["efficientnet-lite"], indirect=True)
def test_a_network_changes_to_int8_by_itself_whatever_is_killed(machine: Machine) -> None:
    with closing(Database(machine.settings.sqlalchemy_url)) as database:

        def is_exporting() -> bool:
            machine.watch()
            worker = psutil.Process(machine.supervisor.process_of("index").pid)
            return any(
                PROGRAM in part
                for child in worker.children(recursive=True)
                for part in child.cmdline()
            )

        def is_embedding() -> bool:
            job = adaptation(machine, database)
            if job is not None and job.status.terminal:
                return True  # it was refused, and is done
            with database.read() as session:
                return any(row.precision is Precision.INT8 for row in all_encoders(session))

        wait_until(is_exporting, EXPORT_TIMEOUT_S)
        kill_index_worker(machine)
        wait_until(is_embedding, EXPORT_TIMEOUT_S)
        with database.read() as session:
            active = active_encoder(session)
        assert active
        kill_index_worker(machine)
        result = result_of(machine, database)
        with database.read() as session:
            active = active_encoder(session)
        assert active
        # Where int8 is no faster, it is not taken, and says so.
        assert (result.int8 is None) != (result.int8_refusal is None)
        assert result.refusal is None
        assert active.spec.label == result.encoder
        assert (active.precision is Precision.INT8) == (result.int8 is not None)
    back = marketlens(machine.environment, "encoder", "rollback")
    assert back.returncode == 0
