"""Events are deleted: those of a user who is forgotten, and those that are older than is kept."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import Session

from db.events.popularity import recount
from db.events.store import lock_events
from db.events.tables import IS_HIDDEN, IS_SHOWN, IS_TOUCH, TOUCHES, Event
from db.statements import chunks

PRUNED_AT_ONCE: Final = 500
"""Events that one transaction deletes because of their age: others wait for it on SQLite."""


def forget_events(session: Session, user: bytes) -> int:
    """Delete all events of a user, and count what is derived of them again; returns how many.

    Locks the events of all users until the transaction ends.
    """
    lock_events(session)
    of_user = Event.user_key == user
    touched = session.scalars(
        select(Event.listing_number).distinct().where(of_user, IS_TOUCH)
    ).all()
    # By each index of users: SQLite takes one of them only where it is told which it can use.
    deleted = sum(_delete(session, of_user, indexed) for indexed in (IS_TOUCH, IS_SHOWN, IS_HIDDEN))
    recount(session, touched)
    return deleted


def any_expired(session: Session, kept_since: datetime) -> bool:
    """Whether there is an event from before this time."""
    return bool(session.scalar(select(exists().where(Event.at < kept_since))))


def prune_events(session: Session, kept_since: datetime) -> int:
    """Delete the oldest events from before this time, so many at once; returns how many."""
    lock_events(session)
    oldest = (
        select(Event.number, Event.listing_number, Event.kind)
        .where(Event.at < kept_since)
        .order_by(Event.at)
        .limit(PRUNED_AT_ONCE)
    )
    rows = session.execute(oldest).all()
    _delete_numbers(session, [row.number for row in rows])
    recount(session, {row.listing_number for row in rows if row.kind in TOUCHES})
    return len(rows)


def _delete_numbers(session: Session, numbers: Collection[int]) -> None:
    for chunk in chunks(numbers):
        _delete(session, Event.number.in_(chunk))


def _delete(session: Session, *conditions: ColumnElement[bool]) -> int:
    """Delete events; returns how many."""
    deleting = delete(Event).where(*conditions).execution_options(synchronize_session=False)
    return session.connection().execute(deleting).rowcount
