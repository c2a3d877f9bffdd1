"""What a user did, as recommendations need it: bounded, however much that was."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from db.events.exclusions import never_again
from db.events.history import (
    listing_ids,
    listings_of_user,
    recent_impressions,
    recent_touches,
)
from models.domain.recommendations.events import Touch

TOUCHES: Final = 500
"""The newest touches that are read; interests are made of fewer listings."""
IMPRESSIONS: Final = 1_000
"""The newest impressions that are read: of those before, nobody remembers the listings."""


@dataclass(frozen=True, slots=True)
class History:
    """The newest things that a user did, and the listings that are never to be recommended."""

    touches: tuple[Touch, ...] = ()
    never: frozenset[UUID] = frozenset()


def history_of(session: Session, user: bytes, until: int, *, exclude_seen: bool) -> History:
    """The history of the user with this key.

    Touches are those up to the event number `until`; what is never recommended is as of now, and
    with `exclude_seen` also what the user has seen.
    """
    if exclude_seen:
        its = listings_of_user(session, user)
        never = its.hidden | its.contacted | its.purchased | its.seen
    else:
        never = never_again(session, user)
    touches = recent_touches(session, user, TOUCHES, until=until)
    shown = recent_impressions(session, user, IMPRESSIONS)
    events = [*touches, *(one for one in shown if one.number <= until)]
    ids = listing_ids(session, never.union(one.listing_number for one in events))
    return History(
        tuple(
            Touch(ids[one.listing_number], one.kind, one.at)
            for one in events
            if one.listing_number in ids
        ),
        _named(ids.items(), never),
    )


def _named(ids: Collection[tuple[int, UUID]], numbers: Collection[int]) -> frozenset[UUID]:
    return frozenset(listing_id for number, listing_id in ids if number in numbers)
