"""Engine and transactions. One `with` block is one transaction; only its end commits."""

import re
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from db.clock import DatabaseClock
from db.driver_errors import hide_values, product_error
from db.postgres_connections import OPTIONS, WORKING, Patience, limit_waiting
from db.store.private_files import close_database_file
from db.text.write import count_words, write_texts
from db.vectors.changes import number_changes
from models.domain.errors import SetupError, Unavailable
from models.domain.geo import haversine
from observability.metrics import DATABASE_ERRORS

BUSY_TIMEOUT_MS = 4_000
"""How long a writer of SQLite waits for the one before. Two that wait for one another, as those of
a group commit do, still end within the ten seconds in which every call is answered."""
POOL_TIMEOUT_S: Final = 5.0
"""How long is waited for one of the `MAX_CONNECTIONS`."""
POOL_SIZE = 20
"""Connections that are kept, where so many were needed at once: opening one takes as long as ten
queries. Few processes need more than two."""
MAX_CONNECTIONS = 35

DRIVERS: Final = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    # As libpq, Heroku and most hosts of databases spell it.
    "postgres": "postgresql+psycopg",
}
"""The driver for how a database URL begins; any other driver that it names is replaced."""
SQLITE_PARAMETERS: Final = frozenset({"uri", "mode", "cache", "immutable", "nolock", "vfs"})
BACKEND_NAME: Final = re.compile(r"[a-z][a-z0-9]{1,19}")
FORMS: Final = "sqlite:////FOLDER/FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME"


def database_url(url: str) -> URL:
    """Parse a database URL and name the drivers this product uses.

    Raises SetupError, whose sentence has no part of the URL, which may hold a password.
    """
    scheme, separator, rest = url.strip().partition("://")
    backend, _, _ = scheme.lower().partition("+")
    driver = DRIVERS.get(backend)
    if not separator or driver is None:
        is_named = separator and BACKEND_NAME.fullmatch(backend)
        raise SetupError(
            f"The database must be SQLite or PostgreSQL{f', not {backend}' if is_named else ''}: "
            f"MARKETLENS_DATABASE_URL is {FORMS}."
        )
    try:
        parsed = make_url(f"{driver}://{rest}")
    except (ArgumentError, ValueError):
        raise SetupError(f"MARKETLENS_DATABASE_URL can't be read: it is {FORMS}.") from None
    if "@" in (parsed.host or ""):
        raise SetupError("In MARKETLENS_DATABASE_URL, an @ in the password is written as %40.")
    return parsed if driver != "sqlite" else _sqlite_file(parsed)


def database_exists(url: str) -> bool:
    """Whether there is a database to open; always true of one on a server. Raises SetupError."""
    parsed = database_url(url)
    return parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").exists()


def _sqlite_file(url: URL) -> URL:
    """The URL of a SQLite file, in the home folder where it begins with `~/`."""
    file = url.database or ""
    if url.host or file in {"", ":memory:"} or not set(url.query) <= SQLITE_PARAMETERS:
        raise SetupError(f"MARKETLENS_DATABASE_URL names no SQLite file: it is {FORMS}.")
    return url.set(database=str(Path(file).expanduser())) if file.startswith("~/") else url


def _connect_args(url: URL) -> dict[str, object]:
    if url.get_backend_name() == "sqlite":
        # A pooled connection is used by several threads, but never by two at the same time.
        return {"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000}
    # What the URL itself says comes first.
    return {name: value for name, value in OPTIONS.items() if name not in url.query}


def _prepare_sqlite(engine: Engine) -> None:
    """Durable commits, enforced foreign keys, explicit BEGIN, and the function `haversine`.

    The driver's implicit BEGIN is deferred: a transaction that reads first and writes later fails
    with BUSY, whatever the timeout, if another one has written meanwhile. Writers therefore begin
    with IMMEDIATE.
    """

    @event.listens_for(engine, "connect")
    def _pragmas(connection: sqlite3.Connection, record: object) -> None:
        del record
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            # What is deleted is overwritten: an erasure leaves nothing in free pages.
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")
        for _, _, file in connection.execute("PRAGMA database_list"):
            if file:
                close_database_file(Path(file))
        connection.create_function("haversine", 4, _haversine, deterministic=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")


def _haversine(*degrees: float | None) -> float | None:
    """The haversine, or NULL if an argument is NULL, as SQL functions return."""
    latitude, longitude, to_latitude, to_longitude = degrees
    if latitude is None or longitude is None or to_latitude is None or to_longitude is None:
        return None
    return haversine(latitude, longitude, to_latitude, to_longitude)


@contextmanager
def failures_of(url: URL) -> Generator[None]:
    """Raise the product's errors for those of the database at this URL."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        if (ours := product_error(error, url)) is None:
            DATABASE_ERRORS.count("defect")
            raise
        DATABASE_ERRORS.count("unavailable" if isinstance(ours, Unavailable) else "refused")
        raise ours from error


class Database:
    """The database of one process. Connects when first used.

    `patience` says how long it is waited for, where that is PostgreSQL.
    """

    def __init__(self, url: str, patience: Patience = WORKING) -> None:
        parsed = database_url(url)
        self.engine = create_engine(
            parsed,
            connect_args=_connect_args(parsed),
            # Errors and debug logs show statements without what is stored by them.
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=POOL_SIZE,
            max_overflow=MAX_CONNECTIONS - POOL_SIZE,
            pool_timeout=POOL_TIMEOUT_S,
            # The connection that was used last: what a peak has opened is idle again afterwards.
            pool_use_lifo=True,
        )
        hide_values(self.engine)
        self._writer = self.engine.execution_options(sqlite_begin="IMMEDIATE")
        self._clock = DatabaseClock(self.engine)
        if self.engine.dialect.name == "sqlite":
            _prepare_sqlite(self.engine)
        else:
            limit_waiting(self.engine, patience)

    def now(self) -> datetime:
        """The database's time, by which those are compared that several processes have written."""
        with failures_of(self.engine.url):
            return self._clock()

    @contextmanager
    def read(self) -> Generator[Session]:
        """A transaction that changes nothing: it is rolled back at the end."""
        with self._session(self.engine) as session:
            yield session

    @contextmanager
    def write(self) -> Generator[Session]:
        """A transaction that commits when the block ends, and rolls back when it raises."""
        with self._session(self._writer) as session:
            yield session
            write_texts(session)
            number_changes(session)
            count_words(session)
            session.commit()

    @contextmanager
    def _session(self, engine: Engine) -> Generator[Session]:
        with failures_of(self.engine.url), Session(engine, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
