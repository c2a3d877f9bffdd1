"""Storing events: a batch in one transaction, each event once by its id."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from db.advisory_locks import hold_lock
from db.events.history import listing_numbers
from db.events.popularity import recount
from db.events.tables import TOUCHES, Event
from db.events.users import event_keys, user_keys
from db.statements import chunks, insert_rows
from db.tables import Job
from models.domain.recommendations.events import EventKind
from models.domain.types import JobType

AHEAD: Final = timedelta(hours=1)
"""How far in the future an event's time may be: clocks differ."""
UNKNOWN_LISTING: Final = "unknown_listing"
IN_FUTURE: Final = "in_future"
TOO_OLD: Final = "too_old"

# An arbitrary key; no other lock in the same database may use it.
_WRITING_LOCK: Final = 0x4D4C_4556


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as its caller says it; `user` and `event_id` are the caller's."""

    event_id: str
    user: str
    kind: EventKind
    listing_id: UUID
    at: datetime
    search_id: UUID | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event of a batch that was not stored: the `index`-th, from 0, and why."""

    index: int
    event_id: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """What became of a batch. Duplicates are events whose id is stored, or earlier in the batch."""

    stored: int
    duplicates: int
    rejected: list[Rejected]


def lock_events(session: Session) -> None:
    """Be the only one who writes events until the transaction ends.

    So numbers become visible in order, what is derived is counted from all rows, and batches that
    have events in common don't deadlock. SQLite has a single writer anyway.
    """
    hold_lock(session, _WRITING_LOCK)


def store_events(
    session: Session, events: Sequence[NewEvent], now: datetime, kept_since: datetime | None = None
) -> StoredBatch:
    """Store the events of a batch that are not stored yet, in its order.

    Those from before `kept_since` are rejected, as they would be pruned.
    """
    lock_events(session)
    # Also of deleted listings: who has bought one tells of it when it is gone.
    numbers = listing_numbers(session, {event.listing_id for event in events})
    rejected: list[Rejected] = []
    accepted: list[NewEvent] = []
    for index, event in enumerate(events):
        if (reason := _reason_against(event, numbers, now, kept_since)) is None:
            accepted.append(event)
        else:
            rejected.append(Rejected(index, event.event_id, *reason))
    stored = _insert(session, accepted, numbers)
    return StoredBatch(stored, len(accepted) - stored, rejected)


_STORED_KEYS = select(Event.event_key).where(Event.event_key.in_(bindparam("keys", expanding=True)))


def _reason_against(
    event: NewEvent, numbers: Mapping[UUID, int], now: datetime, kept_since: datetime | None
) -> tuple[str, str] | None:
    """The code and the sentence why an event is rejected."""
    if event.listing_id not in numbers:
        return UNKNOWN_LISTING, f"There is no listing {event.listing_id}."
    if event.at > now + AHEAD:
        return IN_FUTURE, f"at is in the future: it is {now:%Y-%m-%dT%H:%M:%SZ} now."
    if kept_since is not None and event.at < kept_since:
        return TOO_OLD, f"at is before {kept_since:%Y-%m-%dT%H:%M:%SZ}: older events are not kept."
    return None


def _insert(session: Session, events: Sequence[NewEvent], numbers: Mapping[UUID, int]) -> int:
    """Insert the events that are not stored yet; returns how many."""
    keys = event_keys(session, [event.event_id for event in events])
    known = {
        key for chunk in chunks(keys) for key in session.scalars(_STORED_KEYS, {"keys": chunk})
    }
    new: dict[bytes, NewEvent] = {}
    for key, event in zip(keys, events, strict=True):
        if key not in known:
            new.setdefault(key, event)
    users = user_keys(session, [event.user for event in new.values()])
    searches = _searches_among(session, {event.search_id for event in new.values()})
    rows = [
        {
            "event_key": key,
            "user_key": user,
            "listing_number": numbers[event.listing_id],
            "kind": event.kind,
            "at": event.at,
            "search_id": event.search_id,
            "position": event.position,
            "of_search": event.search_id in searches,
        }
        for (key, event), user in zip(new.items(), users, strict=True)
    ]
    insert_rows(session, Event, rows)
    touched = {numbers[event.listing_id] for event in new.values() if event.kind in TOUCHES}
    recount(session, touched)
    return len(rows)


def _searches_among(session: Session, search_ids: Collection[UUID | None]) -> set[UUID]:
    """Those of the ids that are of jobs that search, as long as these are kept."""
    named = sorted(search_id for search_id in search_ids if search_id is not None)
    return {
        job_id for chunk in chunks(named) for job_id in session.scalars(_SEARCHES, {"ids": chunk})
    }


_SEARCHES = select(Job.id).where(
    Job.id.in_(bindparam("ids", expanding=True)), Job.type == JobType.SEARCH
)
