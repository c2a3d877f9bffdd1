"""Events are stored once by their id, in their order, or rejected one by one."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from db.events.store import AHEAD, IN_FUTURE, TOO_OLD, UNKNOWN_LISTING, NewEvent, store_events
from db.events.tables import Event
from db.events.users import KEY_BYTES, user_keys
from db.session import Database
from models.domain.recommendations.events import EventKind
from tests.support.clock import Clock
from tests.support.events import add_listings, event, store


def test_a_batch_is_stored_in_its_order_and_once(any_database: Database, clock: Clock) -> None:
    add_listings(any_database, 3, clock())
    batch = [event(f"e{n}", "ann", n % 3 + 1, clock()) for n in (4, 2, 9, 4)]
    first = store(any_database, batch, clock())
    again = store(any_database, batch, clock())
    with any_database.read() as session:
        stored = session.scalars(select(Event.listing_number).order_by(Event.number)).all()
    assert (first.stored, first.duplicates, first.rejected) == (3, 1, [])
    assert (again.stored, again.duplicates, again.rejected) == (0, 4, [])
    assert stored == [2, 3, 1]


def test_of_two_events_with_one_id_the_first_is_stored(
    any_database: Database, clock: Clock
) -> None:
    add_listings(any_database, 3, clock())
    store(any_database, [event("e", "ann", 1, clock()), event("e", "bob", 2, clock())], clock())
    store(any_database, [event("e", "cyd", 3, clock() - timedelta(days=1))], clock())
    with any_database.read() as session:
        assert session.scalars(select(Event.listing_number)).all() == [1]


def test_what_is_wrong_with_one_event_leaves_the_others(
    any_database: Database, clock: Clock
) -> None:
    add_listings(any_database, 1, clock())
    now = clock()
    batch = [
        event("unknown", "ann", 7, now),
        event("late", "ann", 1, now + AHEAD),
        event("future", "ann", 1, now + AHEAD + timedelta(seconds=1)),
        event("old", "ann", 1, now - timedelta(days=180, seconds=1)),
    ]
    with any_database.write() as session:
        told = store_events(session, batch, now, now - timedelta(days=180))
    assert told.stored == 1
    assert [(one.index, one.event_id, one.code) for one in told.rejected] == [
        (0, "unknown", UNKNOWN_LISTING),
        (2, "future", IN_FUTURE),
        (3, "old", TOO_OLD),
    ]


def test_many_events_are_read_as_they_were_stored(any_database: Database, clock: Clock) -> None:
    """More than are inserted one by one on PostgreSQL."""
    add_listings(any_database, 5, clock())
    kinds = list(EventKind)
    batch = [
        NewEvent(
            f"e{n}", f"user {n % 4}", kinds[n % 6], UUID(int=n % 5 + 1), clock(), UUID(int=n), n
        )
        for n in range(1000)
    ]
    assert store(any_database, batch, clock()).stored == len(batch)
    with any_database.read() as session:
        rows = session.scalars(select(Event).order_by(Event.number)).all()
        keys = user_keys(session, [one.user for one in batch])
    assert [
        (row.user_key, row.kind, row.listing_number, row.at, row.search_id, row.position)
        for row in rows
    ] == [
        (key, one.kind, one.listing_id.int, one.at, one.search_id, one.position)
        for one, key in zip(batch, keys, strict=True)
    ]


def test_neither_users_nor_events_are_written_by_their_ids(
    any_database: Database, clock: Clock
) -> None:
    add_listings(any_database, 1, clock())
    store(any_database, [event("event of ann", "ann", 1, clock())], clock())
    with any_database.read() as session:
        row = session.scalars(select(Event)).one()
    assert len(row.user_key) == len(row.event_key) == KEY_BYTES
    assert b"ann" not in row.user_key + row.event_key
    assert row.user_key != row.event_key
