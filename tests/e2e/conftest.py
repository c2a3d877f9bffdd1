"""A whole machine for end-to-end tests: real processes, real Redis, a drawn and seeded sample."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from ops.demo import HeldOut, held_out_views
from ops.machine import child_environment, machine_up
from settings import Settings
from tests.support.machine import TIMEOUT_S, SeededMachine, marketlens

LISTINGS = 26


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


@pytest.fixture(scope="session")
def seeded(sample: Path) -> Iterator[SeededMachine]:
    """A machine that runs for all tests, the sample seeded and indexed; leave it as it was."""
    folder = Path(tempfile.mkdtemp(prefix="ml-"))
    settings = Settings(data_dir=folder, encoder="hog", port=8200)
    with machine_up(settings, print) as machine:
        machine.wait_until_ready()
        seeded = marketlens(machine.environment, "seed", str(sample))
        assert seeded.returncode == 0, seeded.stderr
        with httpx2.Client(base_url=machine.url, timeout=TIMEOUT_S) as http:
            yield SeededMachine(machine, http)
    shutil.rmtree(folder)
