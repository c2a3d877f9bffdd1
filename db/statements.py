"""Statements that SQLite and PostgreSQL spell alike but SQLAlchemy keeps apart."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session

# SQLite allows 32,766 bound values in a statement and PostgreSQL 65,535.
IN_LIMIT = 10_000

T = TypeVar("T")


def upsert(session: Session, table: type[DeclarativeBase]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can say ON CONFLICT in the session's dialect."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def insert_missing(
    session: Session,
    table: type[DeclarativeBase],
    rows: Sequence[dict[str, Any]],
    key: Sequence[str],
) -> None:
    """Insert the rows whose `key` columns are not there yet, safe against concurrent inserts."""
    if rows:
        statement = upsert(session, table).on_conflict_do_nothing(index_elements=key)
        session.execute(statement, rows)


def chunks(items: Iterable[T], size: int = IN_LIMIT) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
