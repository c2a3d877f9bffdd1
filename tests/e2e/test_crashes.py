"""Whatever is killed, what was accepted is done once; and Ctrl-C leaves nothing behind."""

import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from db.schema_migration import upgrade
from db.session import Database
from db.tables import Embedding, Job, Photo
from models.domain.errors import ExitCode
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


@pytest.mark.parametrize("victim", ["worker", "child"])
def test_a_killed_embed_worker_loses_and_doubles_nothing(
    data_dir: Path, sample: Path, victim: str
) -> None:
    """SIGKILL hits the worker, or its child, while photos are being embedded."""
    settings = Settings(data_dir=data_dir, encoder="hog", port=8300, lease_seconds=3)
    environment = child_environment(settings)
    with machine_up(settings, print) as machine:
        machine.wait_until_ready()
        seed = subprocess.Popen(
            marketlens_command("seed", str(sample)), env=environment, stdout=subprocess.DEVNULL
        )
        database = Database(settings.sqlalchemy_url)
        worker = machine.supervisor.process_of("embed")
        wait_until(lambda: running_embeds(database) or embedded(database), TIMEOUT_S)
        target = psutil.Process(worker.pid)
        (target if victim == "worker" else target.children()[0]).kill()

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
        database.close()


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_stops_every_child(data_dir: Path, number: signal.Signals) -> None:
    settings = Settings(data_dir=data_dir, encoder="hog", port=8400)
    up = subprocess.Popen(
        marketlens_command("up"),
        env=child_environment(settings),
        stdout=subprocess.PIPE,
        text=True,
    )
    output = up.stdout
    assert output
    wait_until(lambda: "Page:" in output.readline(), TIMEOUT_S)
    children = psutil.Process(up.pid).children(recursive=True)
    names = {" ".join(child.cmdline()) for child in children}
    assert sum("worker" in name for name in names) >= 3
    assert any("redis" in name for name in names)
    os.kill(up.pid, number)
    output.read()
    output.close()
    assert up.wait(timeout=TIMEOUT_S) == 0
    # Killed processes may take a moment to go, and a zombie waits for init, not for us.
    wait_until(lambda: not any(is_alive(child) for child in children), timeout_s=5)


def test_a_busy_port_gets_the_next_free_one_and_one_machine_a_folder(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir, encoder="hog", port=8500)
    said: list[str] = []
    with machine_up(settings, said.append) as machine:
        machine.wait_until_ready()
        other = Settings(data_dir=data_dir / "other", encoder="hog", port=8500)
        with machine_up(other, said.append) as second:
            assert second.url.endswith(":8501")
        assert said == ["Port 8500 is busy, using 8501."]
        again = marketlens(child_environment(settings), "up")
        assert again.returncode == ExitCode.NOT_DONE
        assert "already running" in again.stderr
        assert again.stderr.count("\n") == 1


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
    for _ in range(2):
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
