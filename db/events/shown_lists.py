"""Lists that were shown to users, with what they chose from them: what weights are learned from."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from db.events.tables import IS_TOUCH, Event
from models.domain.recommendations.events import EventKind


class ListedEvent(NamedTuple):
    """An event that names the answer that showed its listing, and the position in it from 1 on."""

    search_id: UUID | None
    user_key: bytes
    listing_number: int
    kind: EventKind
    at: datetime
    position: int | None


def newest_lists(session: Session, count: int) -> list[ListedEvent]:
    """All events of the lists from which something was chosen last, `count` lists at most.

    A list is what one user was shown under one `search_id`. Those of searches are left out, which
    were ordered by how well they answer what was searched for. Reads all events.
    """
    newest = (
        select(Event.search_id, Event.user_key)
        .where(Event.search_id.is_not(None), IS_TOUCH, ~Event.of_search)
        .group_by(Event.search_id, Event.user_key)
        .order_by(func.max(Event.at).desc(), Event.search_id, Event.user_key)
        .limit(bindparam("count"))
        .subquery()
    )
    rows = session.execute(
        select(
            Event.search_id,
            Event.user_key,
            Event.listing_number,
            Event.kind,
            Event.at,
            Event.position,
        )
        .join(
            newest,
            (newest.c.search_id == Event.search_id) & (newest.c.user_key == Event.user_key),
        )
        .order_by(Event.number),
        {"count": count},
    )
    return [ListedEvent(*row) for row in rows]


def user_numbers(session: Session) -> dict[bytes, int]:
    """The number of each user with events, from 0 on in order of their keys.

    As `db.events.all_events` numbers them.
    """
    keys = session.scalars(select(Event.user_key).distinct())
    return {key: number for number, key in enumerate(sorted(map(bytes, keys)))}
