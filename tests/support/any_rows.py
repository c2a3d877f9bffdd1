"""Rows in every table, with values that a copy might change, and all rows of a database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Enum, LargeBinary, insert, null, select

from db.access.tables import AuditEntry
from db.events.tables import Event, KindCode, Milliseconds
from db.retention.tables import Erasure
from db.saved_searches.tables import SavedSearch
from db.session import Database
from db.tables import Consumption, Deployment, UtcDateTime
from models.domain.recommendations.events import EventKind

ROWS = 3
MOMENT = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
# Once these are imported, one metadata has all tables.
TABLES = (AuditEntry, Erasure, Event, SavedSearch)[0].metadata.sorted_tables


def fill(database: Database, text: str, number: int) -> None:
    """Put three rows into each table: with this text, with numbers about as large as this one."""
    with database.engine.begin() as connection:
        for table in TABLES:
            connection.execute(table.delete())
            for n in range(1 if table.name == Deployment.__tablename__ else ROWS):
                row = {column.name: _value(column, n, text, number) for column in table.columns}
                connection.execute(insert(table).values(row))


def rows_in(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """All rows, as the product reads them; what is SQL's NULL is told from JSON's.

    Not those that say what processes are doing now.
    """
    with database.engine.connect() as connection:
        return {
            table.name: sorted(
                (
                    tuple(row)
                    for row in connection.execute(
                        select(*table.columns, *(column.is_(null()) for column in table.columns))
                    )
                ),
                key=repr,
            )
            for table in TABLES
            if table.name != Consumption.__tablename__
        }


def _value(column: Column[Any], n: int, text: str, number: int) -> object:
    if column.foreign_keys:
        # The first rows of two tables may refer to each other, and a row to itself.
        parent = next(iter(column.foreign_keys)).column
        return None if column.nullable and n == 1 else _value(parent, n, text, number)
    if column.nullable and n == 1:
        return null()
    if isinstance(column.type, Enum):
        return column.type.python_type(column.type.enums[n % len(column.type.enums)])
    kind = _kind_of(column)
    if kind is str and (column.primary_key or column.unique):
        return f"{n}{text}"[: getattr(column.type, "length", None) or 99]
    made: dict[type, Callable[[], object]] = {
        UUID: lambda: UUID(int=number * ROWS + n),
        str: lambda: text[: getattr(column.type, "length", None) or 99],
        bytes: lambda: bytes([n, 0, 255]) + text.encode(),
        bool: lambda: bool(n % 2),
        int: lambda: n + 1 if column.primary_key or column.unique else min(number, 32_000) * n,
        float: lambda: number / 7 + n,
        Decimal: lambda: Decimal(number * ROWS + n) / 100,
        datetime: lambda: MOMENT + timedelta(microseconds=number * n),
        object: lambda: {"n": n, text: [text, 0.1, None, {"deep": True}], "large": 2**53},
        EventKind: lambda: list(EventKind)[n],
    }
    return made[kind]()


def _kind_of(column: Column[Any]) -> type:
    if isinstance(column.type, UtcDateTime | Milliseconds):
        return datetime
    if isinstance(column.type, KindCode):
        return EventKind
    if isinstance(column.type, LargeBinary):
        return bytes
    # JSON's is `object`.
    kind: type = column.type.python_type
    return kind
