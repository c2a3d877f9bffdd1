"""The audit log: one row for each admin call, and for each command that changes something.

A row is committed before the change is made, and completed afterwards: a change whose process was
killed has a row without a result. What can't be recorded by the API is not done.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from pydantic import JsonValue
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db.access.tables import AuditEntry
from models.domain.types import AuditSource

DONE: Final = "done"
"""The result of what was done; of what was not, it is the code of an error."""

ANONYMOUS: Final = "anonymous"
"""The actor of a call without a key, which only programs of this machine may make."""

MAX_ACTOR: Final = 200
MAX_RESULT: Final = 64


def begin_entry(
    session: Session,
    source: AuditSource,
    actor: str,
    action: str,
    details: Mapping[str, JsonValue],
    now: datetime,
) -> int:
    """Record that something is about to be changed; returns the entry's id."""
    entry = AuditEntry(
        at=now,
        source=source,
        actor=actor[:MAX_ACTOR],
        action=action,
        details=dict(details),
    )
    session.add(entry)
    session.flush()
    return entry.id


def end_entry(
    session: Session, entry_id: int, result: str, now: datetime, *, begun_at: datetime | None = None
) -> bool:
    """Record how it ended; returns whether there is such an entry.

    One that was pruned meanwhile is no error. With `begun_at` only the entry of that moment is
    meant: the database may be another one by now.
    """
    statement = update(AuditEntry).where(AuditEntry.id == entry_id)
    if begun_at is not None:
        statement = statement.where(AuditEntry.at == begun_at)
    ended = session.execute(
        statement.values(result=result[:MAX_RESULT], ended_at=now).returning(AuditEntry.id)
    )
    return ended.first() is not None


def record_entry(
    session: Session,
    source: AuditSource,
    actor: str,
    action: str,
    details: Mapping[str, JsonValue],
    now: datetime,
) -> None:
    """Record a change that this transaction makes."""
    end_entry(session, begin_entry(session, source, actor, action, details, now), DONE, now)


def list_entries(
    session: Session, limit: int, *, before: int | None = None, since: datetime | None = None
) -> Sequence[AuditEntry]:
    """At most `limit` entries, newest first: those with ids below `before`, not older than
    `since`."""
    statement = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(AuditEntry.id < before)
    if since is not None:
        statement = statement.where(AuditEntry.at >= since)
    return session.scalars(statement).all()


def prune_entries(session: Session, before: datetime, limit: int) -> int:
    """Delete at most `limit` of the oldest entries that are older than `before`; returns how many.

    Called again until it deletes fewer than `limit`, each time in a transaction of its own.
    """
    oldest = (
        select(AuditEntry.id)
        .where(AuditEntry.at < before)
        .order_by(AuditEntry.at, AuditEntry.id)
        .limit(limit)
    )
    deleted = session.execute(
        delete(AuditEntry).where(AuditEntry.id.in_(oldest)).returning(AuditEntry.id)
    )
    return len(deleted.all())
