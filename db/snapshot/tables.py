"""Tables of both databases, and how PostgreSQL's values are stored in SQLite.

Values are changed by PostgreSQL itself, to what SQLAlchemy stores in SQLite: an id without hyphens,
a time in UTC as text, JSON as text. What PostgreSQL reads from these texts is the same again.
"""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

from psycopg import Connection as Driver
from psycopg import Cursor
from sqlalchemy import Connection

NOT_COPIED: Final = ("listing_words", "sqlite_", "alembic_version")
"""How the names begin of tables that are derived or written by others: SQLite's index of words is
made again from `listing_texts`."""

AS_IN_SQLITE: Final = {
    "uuid": "replace(CAST({} AS text), '-', '')",
    "jsonb": "CAST({} AS text)",
    "json": "CAST({} AS text)",
    "timestamptz": "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')",
    "numeric": "CAST({} AS double precision)",
    "bool": "CAST({} AS integer)",
}
"""Expressions by PostgreSQL's name of a type; all other types are the same in both."""


def sqlite_tables(connection: sqlite3.Connection) -> list[str]:
    """The names of the tables that are copied."""
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [name for (name,) in names if not name.startswith(NOT_COPIED)]


def sqlite_columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """The names of a table's columns, in their order."""
    return [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]


def driver_of(connection: Connection) -> Driver[tuple[object, ...]]:
    """The driver's own connection, in the same transaction."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, Driver):
        raise TypeError("this is no connection to PostgreSQL")
    return driver


@contextmanager
def rows_of(
    connection: Connection, table: str, columns: Sequence[str]
) -> Generator[Cursor[tuple[object, ...]]]:
    """The rows of a table in PostgreSQL, with values as SQLite stores them."""
    named = connection.exec_driver_sql(
        "SELECT column_name, udt_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND table_name = %s",
        (table,),
    )
    types: dict[str, str] = {row[0]: row[1] for row in named}
    selected = ", ".join(
        AS_IN_SQLITE.get(types[name], "{}").format(f'"{name}"') for name in columns
    )
    # A cursor of the server's: rows come a few at a time. Binary, or bytes were sent as text.
    with driver_of(connection).cursor("snapshot", binary=True) as cursor:
        yield cursor.execute(f'SELECT {selected} FROM "{table}"'.encode())  # noqa: S608 - our own tables


def take_sequences(source: Connection, target: sqlite3.Connection, tables: Sequence[str]) -> None:
    """Keep the highest number that each sequence has given: none may be given again.

    It is the table's row in `sqlite_sequence`, as of SQLite's own AUTOINCREMENT.
    """
    target.execute("DELETE FROM sqlite_sequence")
    for table, sequence in _sequences(source).items():
        if table in tables:
            last, is_called = source.exec_driver_sql(
                f"SELECT last_value, is_called FROM {sequence}"  # noqa: S608 - as PostgreSQL spells it
            ).one()
            if is_called:
                target.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, last))


def give_sequences(source: sqlite3.Connection, target: Connection, skipped: dict[str, int]) -> None:
    """Have each sequence go on after the highest number that it has given or that a row has.

    Of the tables in `skipped`, so many numbers are left out.
    """
    given = dict(source.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    for table, sequence in _sequences(target).items():
        column = "number" if table == "listings" else _key_of(source, table)
        (highest,) = source.execute(f'SELECT max("{column}") FROM "{table}"').fetchone()  # noqa: S608 - our own tables
        last = max(given.get(table) or 0, highest or 0) + skipped.get(table, 0)
        if last:
            target.exec_driver_sql("SELECT setval(CAST(%s AS regclass), %s)", (sequence, last))


def _key_of(source: sqlite3.Connection, table: str) -> str:
    (key,) = [row[1] for row in source.execute(f'PRAGMA table_info("{table}")') if row[5]]
    return str(key)


def _sequences(connection: Connection) -> dict[str, str]:
    """The sequence of each table that has one, by the table's name; none has two."""
    rows = connection.exec_driver_sql(
        "SELECT table_name, pg_get_serial_sequence(quote_ident(table_name), column_name)"
        " FROM information_schema.columns WHERE table_schema = current_schema()"
        " AND pg_get_serial_sequence(quote_ident(table_name), column_name) IS NOT NULL"
    )
    return {row[0]: row[1] for row in rows}
