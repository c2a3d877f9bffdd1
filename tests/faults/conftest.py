"""Machines under load for fault tests: real processes, a real Redis, either database."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from settings import Settings
from tests.support.ports import free_port


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder with a short path, which a Unix socket needs."""
    folder = Path(tempfile.mkdtemp(prefix="ml-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def settings_on(data_dir: Path, request: pytest.FixtureRequest) -> Callable[..., Settings]:
    """Makes the settings of a machine on a database of this kind (`sqlite`, `postgresql`)."""

    def make(kind: str, **changes: object) -> Settings:
        if kind == "postgresql":
            changes["database_url"] = request.getfixturevalue("new_postgres_url")()
        return Settings.model_validate(
            {"data_dir": data_dir, "encoder": "hog", "port": free_port(), **changes}
        )

    return make
