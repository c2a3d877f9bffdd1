"""Upserts and bulk inserts for both SQLite and PostgreSQL."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from sqlalchemy import Table, column, insert, select, table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session

# SQLite allows 32,766 bound values in a statement and PostgreSQL 65,535.
IN_LIMIT = 10_000
# From about this many rows on, COPY through a temporary table is faster than INSERT.
COPY_FROM_ROWS = 200

Row = Mapping[str, object]
T = TypeVar("T")


def table_of(model: type[DeclarativeBase]) -> Table:
    """The table of a mapped class."""
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model} is not mapped to a table")
    return table


def upsert(session: Session, table: type[DeclarativeBase]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT of the session's dialect, which supports ON CONFLICT."""
    # Into the table, not the mapped class: for that, SQLAlchemy inserts rows one by one where their
    # null columns differ.
    target = table_of(table)
    return postgresql.insert(target) if is_postgresql(session) else sqlite.insert(target)


def insert_rows(session: Session, table: type[DeclarativeBase], rows: Sequence[Row]) -> None:
    """Insert rows, which all have the same columns, in bulk."""
    target = table_of(table)
    if is_postgresql(session) and len(rows) >= COPY_FROM_ROWS:
        _copy(session, target, rows, target.name)
    elif rows:
        session.execute(insert(target), list(rows))


def insert_missing(
    session: Session, table: type[DeclarativeBase], rows: Sequence[Row], key: Sequence[str]
) -> None:
    """Insert the rows whose `key` columns are not there yet, safe against concurrent inserts."""
    _insert(session, table, rows, key, updating=())


def insert_or_update(
    session: Session,
    table: type[DeclarativeBase],
    rows: Sequence[Row],
    key: Sequence[str],
    updating: Collection[str],
) -> None:
    """Insert rows, or set the `updating` columns of those whose `key` is there already."""
    _insert(session, table, rows, key, updating)


def is_postgresql(session: Session) -> bool:
    """Whether the session is on PostgreSQL; else it is on SQLite."""
    return session.get_bind().dialect.name == "postgresql"


def chunks(items: Iterable[T], size: int = IN_LIMIT) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _insert(
    session: Session,
    model: type[DeclarativeBase],
    rows: Sequence[Row],
    key: Sequence[str],
    updating: Collection[str],
) -> None:
    if not rows:
        return
    statement = upsert(session, model)
    in_bulk = is_postgresql(session) and len(rows) >= COPY_FROM_ROWS
    if in_bulk:
        columns = list(rows[0])
        incoming = _copy_to_temporary_table(session, table_of(model), rows)
        source = select(table(incoming, *map(column, columns)))
        statement = statement.from_select(columns, source)
    if updating:
        changes = {name: statement.excluded[name] for name in updating}
        statement = statement.on_conflict_do_update(index_elements=key, set_=changes)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=key)
    if in_bulk:
        session.execute(statement)
        session.connection().exec_driver_sql(f"DROP TABLE {incoming}")
    else:
        session.execute(statement, list(rows))


def _copy_to_temporary_table(session: Session, target: Table, rows: Sequence[Row]) -> str:
    """Fill a temporary table of the same columns, as COPY has no ON CONFLICT; returns its name."""
    name = f"incoming_{target.name}"
    columns = ", ".join(rows[0])
    # The names are those of our own tables and columns.
    like_target = f"SELECT {columns} FROM {target.name} WITH NO DATA"  # noqa: S608
    session.connection().exec_driver_sql(
        f"CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS {like_target}"
    )
    _copy(session, target, rows, name)
    return name


def _copy(session: Session, described_by: Table, rows: Sequence[Row], into: str) -> None:
    connection = session.connection()
    columns = list(rows[0])
    # COPY bypasses SQLAlchemy: values are converted to the database's types here.
    converters = [
        described_by.c[name]
        .type.dialect_impl(connection.dialect)
        .bind_processor(connection.dialect)
        for name in columns
    ]
    cursor = connection.connection.cursor()
    try:
        with cursor.copy(f"COPY {into} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(
                    [
                        convert(row[name]) if convert else row[name]
                        for name, convert in zip(columns, converters, strict=True)
                    ]
                )
    finally:
        cursor.close()
