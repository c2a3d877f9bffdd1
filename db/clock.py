"""The database's clock: the one by which processes of several machines agree."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.statements import is_postgresql

_POSTGRESQL: Final = text("SELECT clock_timestamp() AT TIME ZONE 'UTC'")
_SQLITE: Final = text("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")


def database_now(session: Session) -> datetime:
    """The time by the database's clock, in UTC: with SQLite, this machine's."""
    if is_postgresql(session):
        now: datetime = session.execute(_POSTGRESQL).scalar_one()
        return now.replace(tzinfo=UTC)
    return datetime.fromisoformat(session.execute(_SQLITE).scalar_one()).replace(tzinfo=UTC)
