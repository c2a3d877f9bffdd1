"""Writes what one transaction sees of the database to a SQLite file, while others go on writing.

Of SQLite it is a `VACUUM INTO`: the backup API would also copy free pages, in which erased rows
are, and starts again whenever another process has written. Of PostgreSQL every table is read in one
REPEATABLE READ transaction, and stored as this product stores it in SQLite: the machine needs none
of PostgreSQL's programs, whose version must match the server's, and either database can be restored
from the copy.
"""

import os
import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alembic import command
from alembic.util import CommandError
from psycopg import Cursor
from sqlalchemy import URL, Connection

from db.schema_migration import alembic_config
from db.session import BUSY_TIMEOUT_MS, Database, database_url, failures_of
from db.snapshot.tables import rows_of, sqlite_columns, sqlite_tables, take_sequences
from models.domain.errors import Misconfigured, SetupError, Unavailable

OnProgress = Callable[[int, int], None]
"""Called with how much is written, and how much there will be about."""

STEPS_BETWEEN_REPORTS: Final = 200_000
"""Of SQLite's virtual machine."""
ROWS_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the kind of database it is of, and the revision of its schema."""

    kind: str
    revision: str


def size_of(url: str) -> int:
    """About how many bytes a snapshot takes. Raises SetupError and Unavailable."""
    parsed = database_url(url)
    if parsed.get_backend_name() == "sqlite":
        file = Path(parsed.database or "")
        return sum(
            part.stat().st_size
            for part in (file, file.with_name(f"{file.name}-wal"))
            if part.exists()
        )
    with _postgresql(parsed) as connection:
        statement = "SELECT pg_database_size(current_database())"
        return int(connection.exec_driver_sql(statement).scalar_one())


def write_snapshot(url: str, into: Path, on_progress: OnProgress) -> Written:
    """Write the database at `url` to the file `into`, which must not exist, and sync it.

    Progress is in bytes of the file from SQLite, in rows from PostgreSQL. Raises SetupError for a
    database without a schema or of a later release, Unavailable, and OSError.
    """
    parsed = database_url(url)
    # Keys' hashes are in it.
    os.close(os.open(into, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    if parsed.get_backend_name() == "sqlite":
        _vacuum(Path(parsed.database or ""), into, on_progress)
    else:
        _export(parsed, into, on_progress)
    with into.open("rb") as file:
        os.fsync(file.fileno())
    with closing(sqlite3.connect(f"{into.as_uri()}?mode=ro&immutable=1", uri=True)) as snapshot:
        return Written(parsed.get_backend_name(), _revision(snapshot))


def _revision(snapshot: sqlite3.Connection) -> str:
    try:
        found = snapshot.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        found = None
    if found is None:
        raise SetupError("There is no database yet, so that there is nothing to back up.")
    return str(found[0])


def _vacuum(source: Path, into: Path, on_progress: OnProgress) -> None:
    with closing(sqlite3.connect(source, timeout=BUSY_TIMEOUT_MS / 1000)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        total = pages * page_bytes

        def report() -> None:
            on_progress(min(into.stat().st_size, total), total)

        connection.set_progress_handler(report, STEPS_BETWEEN_REPORTS)
        try:
            # An empty file is taken for one that is not there.
            connection.execute("VACUUM INTO ?", (str(into),))
        except sqlite3.OperationalError as error:
            raise Unavailable(f"The database can't be copied now: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise Misconfigured(f"The database is damaged: {error}.") from error
        written = into.stat().st_size
        on_progress(written, written)


@contextmanager
def _postgresql(url: URL) -> Generator[Connection]:
    with (
        closing(Database(url.render_as_string(hide_password=False))) as database,
        failures_of(url),
        database.engine.connect() as connection,
    ):
        yield connection


def _export(url: URL, into: Path, on_progress: OnProgress) -> None:
    with _postgresql(url) as source:
        source.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        named = source.exec_driver_sql(
            "SELECT to_regclass('alembic_version') IS NOT NULL"
        ).scalar_one()
        if not named:
            raise SetupError("There is no database yet, so that there is nothing to back up.")
        revision = source.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
        _create_schema(into, str(revision))
        with closing(sqlite3.connect(into, isolation_level=None)) as target:
            # A killed one is thrown away: nothing need be safe before it is synced as a whole.
            target.execute("PRAGMA journal_mode = OFF")
            target.execute("PRAGMA synchronous = OFF")
            target.execute("BEGIN EXCLUSIVE")
            _copy_tables(source, target, on_progress)
            target.execute("COMMIT")


def _create_schema(into: Path, revision: str) -> None:
    url = URL.create("sqlite", database=str(into)).render_as_string()
    try:
        command.upgrade(alembic_config(url), revision)
    except CommandError as error:
        raise SetupError(f"The database is of a later release than this one: {error}.") from error


def _copy_tables(source: Connection, target: sqlite3.Connection, on_progress: OnProgress) -> None:
    tables = sqlite_tables(target)
    counted = {
        table: int(source.exec_driver_sql(f'SELECT count(*) FROM "{table}"').scalar_one())  # noqa: S608 - our own tables
        for table in tables
    }
    total, done = sum(counted.values()), 0
    for table in tables:
        target.execute(f'DELETE FROM "{table}"')  # noqa: S608 - our own tables
        columns = sqlite_columns(target, table)
        marks = ", ".join("?" * len(columns))
        statement = f'INSERT INTO "{table}" ({_quoted(columns)}) VALUES ({marks})'  # noqa: S608 - the same
        with rows_of(source, table, columns) as rows:
            for batch in _batches(rows):
                target.executemany(statement, batch)
                done += len(batch)
                on_progress(done, max(done, total))
    take_sequences(source, target, tables)
    on_progress(done, max(done, 1))


def _batches(rows: Cursor[tuple[object, ...]]) -> Iterator[list[tuple[object, ...]]]:
    while batch := rows.fetchmany(ROWS_AT_ONCE):
        yield batch


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)
