"""Fixtures for all tests. Servers are real; each test has a database of its own."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from db.migrate import upgrade
from db.session import Database, database_url
from db.store.photo_store import PhotoStore
from tests.support.clock import Clock
from tests.support.postgres import postgres_server
from tests.support.redis import redis_server

NUMBERS = count(1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A running PostgreSQL, with a migrated database to copy."""
    with postgres_server() as url:
        maintenance = create_engine(database_url(url), isolation_level="AUTOCOMMIT")
        with maintenance.connect() as connection:
            connection.execute(text("CREATE DATABASE template"))
        upgrade(url.replace("/postgres?", "/template?"))
        yield url
        maintenance.dispose()


@pytest.fixture
def new_postgres_url(postgres_url: str) -> Callable[[], str]:
    """Makes a fresh, migrated PostgreSQL database."""

    def make() -> str:
        name = f"test{next(NUMBERS)}"
        maintenance = create_engine(database_url(postgres_url), isolation_level="AUTOCOMMIT")
        with maintenance.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template"))
        maintenance.dispose()
        return postgres_url.replace("/postgres?", f"/{name}?")

    return make


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


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A running Redis."""
    with redis_server() as url:
        yield url
