"""A whole machine for end-to-end tests: real processes, real Redis, a drawn and seeded sample."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from ops.demo import HeldOut, held_out_views
from ops.machine import Machine, child_environment, machine_up
from ops.processes import marketlens_command
from settings import Settings

LISTINGS = 26
TIMEOUT_S = 60


def marketlens(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of our commands as a user would."""
    return subprocess.run(
        marketlens_command(*arguments), env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn sample catalogue."""
    folder = tmp_path_factory.mktemp("sample") / "catalogue"
    drawn = marketlens(
        child_environment(Settings(encoder="hog")),
        *("sample", str(folder), "--listings", str(LISTINGS), "--seed", "7"),
    )
    assert drawn.returncode == 0, drawn.stderr
    return folder


@pytest.fixture(scope="session")
def views(sample: Path) -> list[HeldOut]:
    """The held-out view of every listing of the sample."""
    return held_out_views(sample)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder with a short path, which a Unix socket needs."""
    folder = Path(tempfile.mkdtemp(prefix="ml-"))
    yield folder
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Shop:
    """A running machine with the sample in it."""

    machine: Machine
    http: httpx2.Client


@pytest.fixture(scope="session")
def shop(sample: Path) -> Iterator[Shop]:
    """A machine that runs for all tests, the sample seeded and indexed; leave it as it was."""
    folder = Path(tempfile.mkdtemp(prefix="ml-"))
    settings = Settings(data_dir=folder, encoder="hog", port=8200)
    with machine_up(settings, print) as machine:
        machine.wait_until_ready()
        seeded = marketlens(machine.environment, "seed", str(sample))
        assert seeded.returncode == 0, seeded.stderr
        with httpx2.Client(base_url=machine.url, timeout=TIMEOUT_S) as http:
            yield Shop(machine, http)
    shutil.rmtree(folder)
