"""What a user has done, read from the indexes by user: bounded, however many events there are."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    bindparam,
    func,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.orm import Session

from db.events.tables import IS_HIDDEN, IS_SHOWN, IS_TOUCH, KIND_CODES, TOUCHES, Event, Milliseconds
from db.statements import chunks
from db.tables import Listing
from models.domain.recommendations.events import EventKind

SEEN_IMPRESSIONS: Final = 2_000
"""The newest impressions of a user whose listings count as seen."""
MAX_NUMBER: Final = 2**63 - 1
ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)


class UserEvent(NamedTuple):
    """An event of a user. `number` grows in the order in which events were stored."""

    number: int
    listing_number: int
    kind: EventKind
    at: datetime


@dataclass(frozen=True, slots=True)
class UserListings:
    """The numbers of the listings that a user has hidden, contacted, purchased, and seen.

    Seen are those with a touch of any kind, and those of the newest `SEEN_IMPRESSIONS`.
    """

    hidden: frozenset[int]
    contacted: frozenset[int]
    purchased: frozenset[int]
    seen: frozenset[int]


# Built once: every recommendation needs them.
_COLUMNS = (Event.number, Event.listing_number, Event.kind, Event.at)
_NEWEST = Event.at.desc(), Event.kind.desc(), Event.listing_number.desc()
_OF_USER = Event.user_key == bindparam("user")
_SINCE = Event.at >= bindparam("since", type_=Milliseconds())
_KINDS = Event.kind.in_(bindparam("kinds", expanding=True))
_COUNT = bindparam("count", type_=Integer())
_UNTIL = Event.number <= bindparam("until", type_=BigInteger())

_TOUCHES_OF_USER: Select[int, int, EventKind, datetime] = (
    select(*_COLUMNS).where(_OF_USER, IS_TOUCH, _SINCE, _UNTIL).order_by(*_NEWEST).limit(_COUNT)
)
_TOUCHES_OF_KINDS = _TOUCHES_OF_USER.where(_KINDS)
_SHOWN_TO_USER: Select[int, int, EventKind, datetime] = (
    select(*_COLUMNS)
    .where(_OF_USER, IS_SHOWN, _SINCE)
    .order_by(Event.at.desc(), Event.listing_number.desc())
    .limit(_COUNT)
)
_TOUCHED_LISTINGS = (
    # By codes, and with what comes twice: there may be ten thousand of a user.
    select(Event.listing_number, type_coerce(Event.kind, Integer)).where(_OF_USER, IS_TOUCH)
)
_HIDDEN_LISTINGS = select(Event.listing_number).where(_OF_USER, IS_HIDDEN)
_LAST_NUMBER = select(func.max(Event.number))


def recent_touches(
    session: Session,
    user: bytes,
    count: int,
    since: datetime = ALWAYS,
    kinds: Collection[EventKind] = TOUCHES,
    *,
    until: int = MAX_NUMBER,
) -> list[UserEvent]:
    """The newest touches of a user, of these kinds, newest first; none stored after number `until`.

    Reads as many entries of an index as it returns, or, of some kinds only, as there are of all.
    """
    given = {"user": user, "since": since, "count": count, "until": until}
    if not set(kinds) >= TOUCHES:
        of_kinds = sorted(TOUCHES & set(kinds))
        rows = session.execute(_TOUCHES_OF_KINDS, given | {"kinds": of_kinds})
    else:
        rows = session.execute(_TOUCHES_OF_USER, given)
    return [UserEvent(*row) for row in rows]


def recent_impressions(
    session: Session, user: bytes, count: int, since: datetime = ALWAYS
) -> list[UserEvent]:
    """The newest impressions of a user, newest first."""
    rows = session.execute(_SHOWN_TO_USER, {"user": user, "since": since, "count": count})
    return [UserEvent(*row) for row in rows]


def listings_of_user(session: Session, user: bytes) -> UserListings:
    """What is to be excluded for a user, or demoted."""
    touched: dict[int, set[int]] = {KIND_CODES[kind]: set() for kind in TOUCHES}
    for listing, code in session.execute(_TOUCHED_LISTINGS, {"user": user}):
        touched[code].add(listing)
    hidden = session.scalars(_HIDDEN_LISTINGS, {"user": user})
    shown = recent_impressions(session, user, SEEN_IMPRESSIONS)
    return UserListings(
        hidden=frozenset(hidden),
        contacted=frozenset(touched[KIND_CODES[EventKind.CONTACTED]]),
        purchased=frozenset(touched[KIND_CODES[EventKind.PURCHASED]]),
        seen=frozenset({event.listing_number for event in shown}.union(*touched.values())),
    )


def events_of_user(
    session: Session, user: bytes, limit: int, before: tuple[datetime, int] | None
) -> list[Event]:
    """All events of a user, newest first; `before` is the time and the number of the last seen."""
    newest = [
        row
        for condition in (IS_TOUCH, IS_SHOWN, IS_HIDDEN)
        for row in session.scalars(_page_of_user(user, condition, limit, before))
    ]
    newest.sort(key=lambda event: (event.at, event.number), reverse=True)
    return newest[:limit]


def _page_of_user(
    user: bytes,
    condition: ColumnElement[bool],
    limit: int,
    before: tuple[datetime, int] | None,
) -> Select[Event]:
    statement = (
        select(Event)
        .where(Event.user_key == user, condition)
        .order_by(Event.at.desc(), Event.number.desc())
        .limit(limit)
    )
    if before is None:
        return statement
    at, number = before
    # The first condition is what the index is read from.
    return statement.where(Event.at <= at, or_(Event.at < at, Event.number < number))


def last_event(session: Session) -> int:
    """The number of the event that was stored last, 0 if there is none."""
    return session.scalar(_LAST_NUMBER) or 0


_IDS = select(Listing.number, Listing.id).where(
    Listing.number.in_(bindparam("numbers", expanding=True))
)


def listing_ids(session: Session, numbers: Collection[int]) -> dict[int, UUID]:
    """The ids of listings by their numbers."""
    return {
        number: listing_id
        for chunk in chunks(numbers)
        for number, listing_id in session.execute(_IDS, {"numbers": chunk})
    }


def listing_numbers(session: Session, ids: Collection[UUID]) -> dict[UUID, int]:
    """The numbers of those of the listings that are there, also of deleted ones, by id."""
    return {
        listing_id: number
        for chunk in chunks(ids)
        for listing_id, number in session.execute(_NUMBERS, {"ids": chunk})
    }


_NUMBERS = select(Listing.id, Listing.number).where(
    Listing.id.in_(bindparam("ids", expanding=True))
)
