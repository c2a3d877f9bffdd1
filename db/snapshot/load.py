"""Puts a snapshot's file in a database's place: as it is for SQLite, by rows for PostgreSQL.

A snapshot of an earlier release is brought to the schema of this one. Ids of generations that may
have been built after the snapshot are not given again: other machines may have their files.
"""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from alembic import command
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg import errors
from sqlalchemy import URL, Connection, inspect, text

from db.schema_migration import alembic_config, upgrade
from db.session import Database, database_url, failures_of
from db.snapshot.read import deployment_of, opened
from db.snapshot.tables import driver_of, give_sequences, sqlite_columns, sqlite_tables
from db.snapshot.write import ROWS_AT_ONCE, OnProgress
from db.text.word_index import insert_words
from models.domain.durable_files import make_folder, part_path, sync_folder
from models.domain.errors import Conflict, SetupError
from models.text.listing_words import ListingWords

OF_PROCESSES: Final = "consumption"
"""The table that says what processes are doing now: it is restored empty."""
LOGS: Final = ("-wal", "-shm", "-journal")
"""How the names of files end that SQLite writes beside a database."""
NEXT_TEXTS: Final = text(
    "SELECT number, title, attributes, category, description FROM listing_texts"
    " WHERE number > :last ORDER BY number LIMIT :limit"
)
SKIPPED: Final = {"generations": 1_000}
CONTENT: Final = ("listings", "photos", "jobs", "saved_searches", "events", "api_keys")
"""Tables that have rows once something was stored; others have some from the first start on."""


def holds_something(url: str) -> bool:
    """Whether anything has been stored in the database; not if there is none yet.

    Raises Unavailable, and Misconfigured for a file that is no database.
    """
    parsed = database_url(url)
    if _is_missing(parsed):
        return False
    with closing(Database(url)) as database, failures_of(parsed), database.engine.connect() as read:
        tables = set(inspect(read).get_table_names())
        if "alembic_version" not in tables:
            return bool(tables)
        return any(
            read.exec_driver_sql(f"SELECT 1 FROM {table} LIMIT 1").first()  # noqa: S608 - our own tables
            for table in tables.intersection(CONTENT)
        )


def is_restored(url: str, snapshot: Path) -> bool:
    """Whether the database has contents, and is of the same deployment as the snapshot."""
    if not holds_something(url):
        return False
    with opened(snapshot) as connection:
        deployment = deployment_of(connection)
    with closing(Database(url)) as database, database.engine.connect() as read:
        if "deployment" not in inspect(read).get_table_names():
            return False
        found = read.exec_driver_sql("SELECT CAST(id AS text) FROM deployment").scalar_one()
        return str(found).replace("-", "") == deployment


def load_snapshot(
    snapshot: Path, *, kind: str, revision: str, into: str, on_progress: OnProgress
) -> None:
    """Replace the database at the URL `into` by a snapshot, and bring it to this release's schema.

    `kind` and `revision` are what `write_snapshot` has said of it. Nobody may use the database.
    With SQLite the file is replaced in one step. With PostgreSQL its tables are made anew, and
    filled in one transaction: a killed load leaves it empty. Raises SetupError for a snapshot of a
    later release and for a value that PostgreSQL can't store, Unavailable, and OSError.
    """
    parsed = database_url(into)
    if parsed.get_backend_name() == "sqlite":
        _load_file(snapshot, Path(parsed.database or ""), kind, on_progress)
    else:
        _load_tables(snapshot, parsed, into, revision, on_progress)


def check_revision(revision: str) -> None:
    """Raise SetupError for a revision that this release does not know."""
    scripts = ScriptDirectory.from_config(alembic_config("sqlite://"))
    try:
        scripts.get_revision(revision)
    except CommandError as error:
        raise SetupError(f"The snapshot is of a later release than this one: {error}.") from error


def _load_file(snapshot: Path, file: Path, kind: str, on_progress: OnProgress) -> None:
    make_folder(file.parent)
    part = part_path(file)
    _remove_with_log(part)
    shutil.copyfile(snapshot, part)
    part.chmod(0o600)
    url = URL.create("sqlite", database=str(part)).render_as_string()
    if kind != "sqlite":
        with closing(Database(url)) as database:
            _index_words(database)
    upgrade(url)
    with closing(sqlite3.connect(part, isolation_level=None)) as connection:
        for table, skipped in SKIPPED.items():
            connection.execute(
                "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = ?", (skipped, table)
            )
        connection.execute(f"DELETE FROM {OF_PROCESSES}")  # noqa: S608 - our own table
        # All of it in one file, as that is what is renamed.
        connection.execute("PRAGMA journal_mode = DELETE")
    with part.open("rb") as written:
        os.fsync(written.fileno())
    # The log of the database before would be applied to this one.
    for suffix in LOGS:
        file.with_name(f"{file.name}{suffix}").unlink(missing_ok=True)
    part.replace(file)
    sync_folder(file.parent)
    on_progress(1, 1)


def _remove_with_log(file: Path) -> None:
    for suffix in ("", *LOGS):
        file.with_name(f"{file.name}{suffix}").unlink(missing_ok=True)


def _index_words(database: Database) -> None:
    """Fill SQLite's index of words, which PostgreSQL has in another form."""
    with database.write() as session:
        if not inspect(session.connection()).has_table("listing_words"):
            return
        last = -1
        while rows := session.execute(NEXT_TEXTS, {"last": last, "limit": ROWS_AT_ONCE}).all():
            insert_words(session, {number: ListingWords(*words) for number, *words in rows})
            last = rows[-1][0]


def _load_tables(
    snapshot: Path, parsed: URL, url: str, revision: str, on_progress: OnProgress
) -> None:
    config = alembic_config(url)
    try:
        with closing(Database(url)) as database, failures_of(parsed):
            with database.engine.connect() as connection:
                _refuse_if_used(connection)
                exists = inspect(connection).has_table("alembic_version")
            database.close()
            if exists:
                command.downgrade(config, "base")
            command.upgrade(config, revision)
            with database.engine.begin() as connection, opened(snapshot) as source:
                _fill(source, connection, on_progress)
            command.upgrade(config, "head")
    except errors.DataError as error:
        raise SetupError(f"PostgreSQL can't store a value of the snapshot: {error}.") from error


def _refuse_if_used(connection: Connection) -> None:
    others = connection.exec_driver_sql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    ).scalar_one()
    if others:
        raise Conflict(
            f"{others} other connection{'s use' if others > 1 else ' uses'} the database: stop the"
            " API, the workers and the relay first."
        )


def _fill(source: sqlite3.Connection, target: Connection, on_progress: OnProgress) -> None:
    target.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
    inspected = inspect(target)
    known = set(sqlite_tables(source)) - {OF_PROCESSES}
    ordered = [table for table, _ in inspected.get_sorted_table_and_fkc_names() if table in known]
    (total,) = source.execute(
        f"SELECT {' + '.join(f'(SELECT count(*) FROM {table})' for table in ordered)}"  # noqa: S608 - our own tables
    ).fetchone()
    done = 0
    for table in reversed(ordered):
        target.exec_driver_sql(f'DELETE FROM "{table}"')  # noqa: S608 - our own tables
    for table in ordered:
        columns = ", ".join(f'"{name}"' for name in sqlite_columns(source, table))
        read = source.execute(f'SELECT {columns} FROM "{table}"')  # noqa: S608 - our own tables
        statement = f'COPY "{table}" ({columns}) FROM STDIN'.encode()
        with driver_of(target).cursor() as cursor, cursor.copy(statement) as copy:
            while rows := read.fetchmany(ROWS_AT_ONCE):
                for row in rows:
                    copy.write_row(row)
                done += len(rows)
                on_progress(done, total)
    give_sequences(source, target, SKIPPED)


def _is_missing(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").exists()
