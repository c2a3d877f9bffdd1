"""Fixtures for all tests. Servers are real; each test has a database of its own."""

import logging
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from sqlalchemy import Engine, create_engine, text

from db.schema_migration import upgrade
from db.session import Database, database_url
from db.store.photo_store import PhotoStore
from models.encoders.networks.architectures import RESNET50
from observability import instruments
from tests.support.clock import Clock
from tests.support.parallel import ByFile, start_order
from tests.support.postgres import postgres_server
from tests.support.redis import redis_server

NUMBERS = count(1)

# How long an example takes says nothing where several processes of tests share the cores.
settings.register_profile("shared-cores", parent=settings(), deadline=None)
settings.load_profile("shared-cores")


@pytest.fixture(autouse=True)
def _what_commands_begin_ends_with_their_test() -> Iterator[None]:
    """Commands that run in this process may log to a stream, and count in a folder, of the test."""
    folder, root, hook = instruments.folder(), logging.getLogger(), threading.excepthook
    handlers, level = root.handlers[:], root.level
    yield
    if instruments.folder() != folder:
        instruments.end()
    if root.handlers != handlers:
        root.handlers[:] = handlers
        root.setLevel(level)
        threading.excepthook = hook


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    """With `--dist loadfile`, keep what starts machines on one worker."""
    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In parallel, begin with the files that take longest: the last ones run beside nothing."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: start_order(item.nodeid))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Engine]:
    """A running PostgreSQL, with a migrated database to copy."""
    with postgres_server() as url:
        maintenance = create_engine(database_url(url), isolation_level="AUTOCOMMIT")
        with maintenance.connect() as connection:
            connection.execute(text("CREATE DATABASE template"))
        upgrade(url.replace("/postgres?", "/template?"))
        yield maintenance
        maintenance.dispose()


@pytest.fixture
def new_postgres_url(postgres: Engine) -> Iterator[Callable[[], str]]:
    """Makes fresh, migrated PostgreSQL databases, which are dropped after the test."""
    names = []

    def make() -> str:
        names.append(f"test{next(NUMBERS)}")
        with postgres.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {names[-1]} TEMPLATE template"))
        return postgres.url.set(drivername="postgresql", database=names[-1]).render_as_string()

    yield make
    with postgres.connect() as connection:
        for name in names:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database to copy."""
    path = tmp_path_factory.mktemp("template") / "marketlens.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path
) -> Iterator[Database]:
    """An empty, migrated database: each test runs on both kinds."""
    if request.param == "sqlite":
        (tmp_path / "marketlens.db").write_bytes(migrated_sqlite.read_bytes())
        url = f"sqlite:///{tmp_path / 'marketlens.db'}"
    else:
        url = request.getfixturevalue("new_postgres_url")()
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_url(tmp_path: Path, migrated_sqlite: Path) -> str:
    """The URL of an empty, migrated SQLite database."""
    (tmp_path / "marketlens.db").write_bytes(migrated_sqlite.read_bytes())
    return f"sqlite:///{tmp_path / 'marketlens.db'}"


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """An empty, migrated SQLite database, for tests that do not depend on the kind."""
    opened = Database(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path) -> PhotoStore:
    return PhotoStore(str(tmp_path / "photos"))


@pytest.fixture
def any_file_is_resnet50(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of weights are not read to see what network they are of."""
    monkeypatch.setattr("models.encoders.library.recognised", lambda _path, _sha256: RESNET50)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A running Redis."""
    with redis_server() as url:
        yield url
