"""Events are deleted: those of a user who is forgotten, and those that are older than is kept."""

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, and_, delete, exists, func, select, tuple_
from sqlalchemy.orm import Session

from db.events.popularity import recount
from db.events.store import lock_events
from db.events.tables import IS_AGEING, IS_HIDDEN, IS_SHOWN, IS_TOUCH, TOUCHES, Event
from db.retention.amounts import Amount
from db.statements import chunks
from db.tables import Listing
from models.domain.types import ListingStatus

PRUNED_AT_ONCE: Final = 500
"""Events that one transaction deletes because of their age: others wait for it on SQLite."""
LOOKED_AT: Final = 2_000
_ROW_BYTES: Final = 250
"""Of an event with its entries in indexes."""
_FOR_SALE: Final = (ListingStatus.ACTIVE, ListingStatus.RESERVED)


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


def forget_touches(session: Session, listing_numbers: Collection[int]) -> None:
    """Delete what users did with listings that are erased, and what is counted of it.

    That they were shown or hidden stays: it is in no index by listing.
    """
    lock_events(session)
    for chunk in chunks(listing_numbers):
        _delete(session, IS_TOUCH, Event.listing_number.in_(chunk))
    recount(session, listing_numbers)


def any_expired(session: Session, kept_since: datetime) -> bool:
    """Whether there is an event from before this time, other than that a listing was hidden."""
    return bool(session.scalar(select(exists().where(Event.at < kept_since, IS_AGEING))))


def prune_events(session: Session, kept_since: datetime) -> int:
    """Delete the oldest events from before this time, so many at once; returns how many."""
    lock_events(session)
    oldest = (
        select(Event.number, Event.listing_number, Event.kind)
        .where(Event.at < kept_since, IS_AGEING)
        .order_by(Event.at)
        .limit(PRUNED_AT_ONCE)
    )
    rows = session.execute(oldest).all()
    _delete_numbers(session, [row.number for row in rows])
    recount(session, {row.listing_number for row in rows if row.kind in TOUCHES})
    return len(rows)


def expired_amount(session: Session, kept_since: datetime) -> Amount:
    """How many events `prune_events` would delete in all."""
    counting = select(func.count()).where(Event.at < kept_since, IS_AGEING)
    count = session.scalars(counting).one()
    return Amount(count, count * _ROW_BYTES)


class HiddenPosition(NamedTuple):
    """Where a pass through what users have hidden has come to."""

    user_key: bytes
    at: datetime
    listing_number: int
    number: int


class OldHidden(NamedTuple):
    """Where the pass goes on, None at its end, and the events that may go, by number."""

    position: HiddenPosition | None
    numbers: list[int]


def next_old_hidden(
    session: Session, kept_since: datetime, after: HiddenPosition | None
) -> OldHidden:
    """Look at what users have hidden next: what is of before this time, and not for sale any more.

    Read in the order of its index, so that a pass reads each event once, however many are old.
    """
    ordered = (Event.user_key, Event.at, Event.listing_number, Event.number)
    is_for_sale = exists().where(
        Listing.number == Event.listing_number, Listing.status.in_(_FOR_SALE)
    )
    statement = (
        select(*ordered, and_(Event.at < kept_since, ~is_for_sale).label("is_old"))
        .where(IS_HIDDEN)
        .order_by(*ordered)
        .limit(LOOKED_AT)
    )
    if after is not None:
        statement = statement.where(Event.user_key >= after.user_key, tuple_(*ordered) > after)
    rows = session.execute(statement).all()
    return OldHidden(
        HiddenPosition(*rows[-1][:4]) if rows else None,
        [row.number for row in rows if row.is_old],
    )


def remove_hidden(session: Session, numbers: Collection[int]) -> int:
    """Delete these events, of which nothing is derived; returns how many were there."""
    lock_events(session)
    return sum(_delete(session, IS_HIDDEN, Event.number.in_(chunk)) for chunk in chunks(numbers))


def _delete_numbers(session: Session, numbers: Collection[int]) -> None:
    for chunk in chunks(numbers):
        _delete(session, Event.number.in_(chunk))


def _delete(session: Session, *conditions: ColumnElement[bool]) -> int:
    """Delete events; returns how many."""
    deleting = delete(Event).where(*conditions).execution_options(synchronize_session=False)
    return session.connection().execute(deleting).rowcount
