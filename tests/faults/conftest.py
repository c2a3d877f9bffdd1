"""Machines under load for fault tests: real processes, a real Redis, either database."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Engine, text

from settings import Settings
from tests.support.faults import DATABASES
from tests.support.loaded_machine import LoadedMachine, loaded_machine
from tests.support.ports import free_port

NUMBERS: Final = count(1)


@contextmanager
def _folder() -> Iterator[Path]:
    """A data folder with a short path, which a Unix socket needs."""
    folder = Path(tempfile.mkdtemp(prefix="ml-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder with a short path."""
    with _folder() as folder:
        yield folder


def _settings(folder: Path, **changes: object) -> Settings:
    given = {"data_dir": folder, "encoder": "hog", "port": free_port(), **changes}
    return Settings.model_validate(given)


@pytest.fixture
def settings_on(data_dir: Path, request: pytest.FixtureRequest) -> Callable[..., Settings]:
    """Makes the settings of a machine on a database of this kind (`sqlite`, `postgresql`)."""

    def make(kind: str, **changes: object) -> Settings:
        if kind == "postgresql":
            changes["database_url"] = request.getfixturevalue("new_postgres_url")()
        return _settings(data_dir, **changes)

    return make


@pytest.fixture(scope="module")
def loaded() -> Iterator[LoadedMachine]:
    """A machine under load on SQLite, for all fast tests of a file."""
    with _folder() as folder, loaded_machine(_settings(folder)) as made:
        yield made


@pytest.fixture(scope="module", params=DATABASES)
def loaded_on(request: pytest.FixtureRequest) -> Iterator[LoadedMachine]:
    """A machine under load on either database, for all long tests of a file."""
    with _folder() as folder:
        if request.param == "sqlite":
            with loaded_machine(_settings(folder)) as made:
                yield made
            return
        with (
            _postgres_database(request.getfixturevalue("postgres")) as url,
            loaded_machine(_settings(folder, database_url=url)) as made,
        ):
            yield made


@contextmanager
def _postgres_database(postgres: Engine) -> Iterator[str]:
    name = f"faults{next(NUMBERS)}"
    with postgres.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template"))
    yield postgres.url.set(drivername="postgresql", database=name).render_as_string()
    with postgres.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
