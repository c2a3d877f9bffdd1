"""Exports and forgets what is known of users. Each function commits before it returns."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from api.deps import Resources
from api.pagination import Position
from api.users.schemas import UserEventOut
from db.events.history import events_of_user, listing_ids
from db.events.users import user_key
from db.jobs.of_users import jobs_of_user
from db.retention.erasures import erase_user

SHOWN_JOBS: Final = 1_000
_GREATEST_NUMBER: Final = 2**63 - 1


def list_events(
    resources: Resources, user: str, limit: int, after: Position | None
) -> list[tuple[UserEventOut, Position]]:
    """At most `limit` events of a user with their positions, from the one after this position on.

    Of a position's id, the number is that of an event.
    """
    before = None
    if after is not None:
        at, position = after
        before = at, min(position.int, _GREATEST_NUMBER)
    with resources.database.read() as session:
        events = events_of_user(session, user_key(session, user), limit, before)
        ids = listing_ids(session, {event.listing_number for event in events})
    return [
        (
            UserEventOut(
                type=event.kind,
                listing_id=ids[event.listing_number],
                at=event.at,
                search_id=event.search_id,
                position=event.position,
            ),
            (event.at, UUID(int=event.number)),
        )
        for event in events
        # That a listing was shown is told no more once it was erased.
        if event.listing_number in ids
    ]


def list_jobs(resources: Resources, user: str) -> Sequence[UUID]:
    """The newest jobs that were accepted for a user, so many at most."""
    with resources.database.read() as session:
        return jobs_of_user(session, user_key(session, user), SHOWN_JOBS)


def forget(resources: Resources, user: str) -> None:
    """Delete all that is known of a user."""
    with resources.database.write() as session:
        erase_user(session, user, resources.now())
