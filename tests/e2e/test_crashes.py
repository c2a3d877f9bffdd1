"""Whatever is killed, what was accepted is done once; and Ctrl-C leaves nothing behind."""

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import httpx2
import psutil
import pytest
from sqlalchemy import func, select

from db.jobs import accepting
from db.schema_migration import upgrade
from db.session import Database
from db.tables import Embedding, Job, Photo
from models.domain.clock import utc_now
from models.domain.errors import ExitCode
from models.domain.job_payloads import EmbedPayload
from models.domain.types import JobStatus, JobType
from ops.machine import child_environment, machine_up
from ops.processes import marketlens_command
from settings import Settings
from tests.support.machine import TIMEOUT_S, marketlens
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e


def embedded(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Embedding)) or 0


def test_a_killed_embed_worker_loses_and_doubles_nothing(data_dir: Path, sample: Path) -> None:
    """SIGKILL hits the worker, and once another works its child, while photos are embedded."""
    settings = Settings(data_dir=data_dir, encoder="hog", port=8300, lease_seconds=3)
    with (
        machine_up(settings, print) as machine,
        closing(Database(settings.sqlalchemy_url)) as database,
    ):
        machine.wait_until_ready()
        seed = subprocess.Popen(
            marketlens_command("seed", str(sample)),
            env=machine.environment,
            stdout=subprocess.DEVNULL,
        )

        def worker() -> psutil.Process:
            machine.watch()
            return psutil.Process(machine.supervisor.process_of("embed").pid)

        first = worker()
        wait_until(lambda: running_embeds(database) or embedded(database), TIMEOUT_S)
        before = embedded(database)
        first.kill()
        wait_until(lambda: worker() != first and worker().children(), TIMEOUT_S)
        wait_until(lambda: embedded(database) > before, TIMEOUT_S)
        worker().children()[0].kill()

        def seeded() -> bool:
            machine.watch()
            return seed.poll() is not None

        wait_until(seeded, TIMEOUT_S)
        assert seed.returncode == 0
        with database.read() as session:
            photos = session.scalar(select(func.count()).select_from(Photo))
            jobs = session.scalars(select(Job).where(Job.type == JobType.EMBED)).all()
        assert embedded(database) == photos
        assert Counter(job.status for job in jobs) == {JobStatus.SUCCEEDED: len(jobs)}
        assert sum(job.done for job in jobs) == photos


def running_embeds(database: Database) -> int:
    with database.read() as session:
        return (
            session.scalar(
                select(func.count())
                .select_from(Job)
                .where(Job.type == JobType.EMBED, Job.status == JobStatus.RUNNING)
            )
            or 0
        )


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def up(settings: Settings) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`marketlens up`, once it is ready, and what it has said until then."""
    process = subprocess.Popen(
        marketlens_command("up"),
        env=child_environment(settings),
        stdout=subprocess.PIPE,
        text=True,
    )
    output = process.stdout
    assert output
    said = [""]

    def is_ready() -> bool:
        said.append(output.readline())
        return "Page:" in said[-1]

    try:
        wait_until(is_ready, TIMEOUT_S)
        yield process, "".join(said)
    finally:
        process.terminate()
        output.read()
        output.close()
        process.wait()


def test_machines_share_a_port_range_but_no_folder_and_stop_with_every_child(
    data_dir: Path,
) -> None:
    settings = Settings(data_dir=data_dir, encoder="hog", port=8500)
    other = Settings(data_dir=data_dir / "other", encoder="hog", port=8500)
    with up(settings) as (first, _), up(other) as (second, said):
        assert "Port 8500 is busy, using 8501." in said
        assert "http://127.0.0.1:8501/" in said
        again = marketlens(child_environment(settings), "up")
        assert again.returncode == ExitCode.NOT_DONE
        assert "already running" in again.stderr
        assert again.stderr.count("\n") == 1
        for process, number in ((first, signal.SIGTERM), (second, signal.SIGINT)):
            children = psutil.Process(process.pid).children(recursive=True)
            names = {" ".join(child.cmdline()) for child in children}
            assert sum("worker" in name for name in names) >= 3
            assert any("redis" in name for name in names)
            os.kill(process.pid, number)
            assert process.wait(timeout=TIMEOUT_S) == 0
            # Killed processes may take a moment to go, and a zombie waits for init, not for us.
            wait_until(lambda: not any(map(is_alive, children)), timeout_s=5)  # noqa: B023 - at once


def test_an_api_ends_although_somebody_follows_a_job(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir, encoder="hog", port=8590)
    upgrade(settings.sqlalchemy_url)
    with closing(Database(settings.sqlalchemy_url)) as database, database.write() as session:
        job = accepting.accept(session, EmbedPayload(photo_ids=()), job_id=uuid4(), now=utc_now())
    process = subprocess.Popen(marketlens_command("api"), env=child_environment(settings))
    try:
        place = f"http://127.0.0.1:8590/v1/jobs/{job.id}/events"
        wait_until(lambda: answers(place), TIMEOUT_S)
        with httpx2.stream("GET", place, timeout=TIMEOUT_S) as response:
            lines = response.iter_lines()  # kept: the connection ends with it
            assert "queued" in next(lines)
            process.terminate()
            assert process.wait(TIMEOUT_S) == -signal.SIGTERM
    finally:
        process.kill()
        process.wait()


def answers(place: str) -> bool:
    """Whether a server is there."""
    try:
        with httpx2.stream("GET", place):
            return True
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize(
    "command", [("seed", "."), ("worker", "search"), ("worker", "index"), ("up",)]
)
def test_missing_weights_are_one_clear_line(data_dir: Path, command: tuple[str, ...]) -> None:
    settings = Settings(
        data_dir=data_dir, encoder="resnet50", weights=data_dir / "nowhere.safetensors"
    )
    if command[0] == "worker":
        upgrade(settings.sqlalchemy_url)
    done = marketlens(child_environment(settings), *command)
    assert done.returncode == ExitCode.NOT_DONE
    assert done.stderr.count("\n") == 1
    assert "nowhere.safetensors, which MARKETLENS_WEIGHTS names, is not a file" in done.stderr


def test_refused_weights_are_one_clear_line(data_dir: Path) -> None:
    bad = data_dir / "bad.safetensors"
    bad.write_bytes(b"not weights")
    settings = Settings(data_dir=data_dir, port=8600, weights=bad)
    done = marketlens(child_environment(settings), "up")
    assert done.returncode == ExitCode.NOT_DONE
    assert done.stderr.count("\n") == 1
    assert "neither safetensors nor a state dict" in done.stderr
    assert "Traceback" not in done.stderr


def test_demo_shows_the_main_job_and_ends_with_a_line_of_json(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir, encoder="efficientnet-lite", port=8700)
    done = marketlens(child_environment(settings), "demo", "--once")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout.rstrip().splitlines()[-1])
    assert set(shown) == {
        "listings",
        "images",
        "generation",
        "encoder",
        "search_ms",
        "results",
        "top1",
        "expected",
        "recall_at_1",
    }
    assert shown["top1"] == shown["expected"]
    assert shown["recall_at_1"] >= 0.97
    assert shown["encoder"].startswith("efficientnet-lite2-")
    assert shown["generation"] == 1
