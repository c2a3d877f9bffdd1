"""Old events are deleted in the background, a few at a time, and nothing else is."""

from datetime import timedelta
from pathlib import Path
from threading import Event as Stop

import pytest
from sqlalchemy import func, select, update

from db.events import forget
from db.events.tables import Event
from db.session import Database
from db.tables import Listing
from models.domain.errors import Unavailable
from models.domain.recommendations.events import EventKind
from models.domain.types import ListingStatus
from tests.support.clock import Clock
from tests.support.event_model import assert_is_as_counted, stored_popularity
from tests.support.events import add_listings, event, store
from workers.retention.policy import RetentionPolicy
from workers.retention.steps import Pace, remove_events, remove_hidden_events

DAYS_180 = timedelta(days=180)
KEPT = RetentionPolicy(events=DAYS_180)


def pace(database: Database, clock: Clock) -> Pace:
    return Pace(database, clock, Stop(), rest_s=0.0)


def stored(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Event)) or 0


def test_events_are_deleted_when_they_are_older_than_they_are_kept(
    any_database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "PRUNED_AT_ONCE", 7)
    add_listings(any_database, 2, clock())
    # The older ones are stored last, as who imports them later does.
    batch = [
        event(f"{days} {user}", f"user {user}", days % 2 + 1, clock() - timedelta(days=days))
        for days in range(20)
        for user in range(4)
    ]
    store(any_database, batch, clock())
    assert remove_events(pace(any_database, clock), KEPT) == 0
    clock.advance(days=170)
    assert remove_events(pace(any_database, clock), KEPT) == 36
    assert_is_as_counted(any_database)
    clock.advance(days=11)
    assert remove_events(pace(any_database, clock), KEPT) == 44
    assert stored(any_database) == 0
    assert stored_popularity(any_database) == {}


def test_only_what_is_too_old_is_deleted(any_database: Database, clock: Clock) -> None:
    add_listings(any_database, 1, clock())
    ages = [timedelta(0), DAYS_180, DAYS_180 + timedelta(milliseconds=1), DAYS_180 * 2]
    batch = [event(f"{age}", "ann", 1, clock() - age) for age in ages]
    store(any_database, batch, clock())
    assert remove_events(pace(any_database, clock), KEPT) == 2
    with any_database.read() as session:
        left = session.scalars(select(Event.at).order_by(Event.number)).all()
    assert left == [clock(), clock() - DAYS_180]


def test_what_is_hidden_stays_hidden_while_it_is_for_sale(
    any_database: Database, clock: Clock
) -> None:
    add_listings(any_database, 4, clock())
    batch = [
        event(f"{user} {listing}", f"user {user}", listing, clock(), EventKind.HIDDEN)
        for user in range(3)
        for listing in (1, 2, 3, 4)
    ]
    store(any_database, batch, clock())
    statuses = {2: ListingStatus.RESERVED, 3: ListingStatus.SOLD, 4: ListingStatus.DELETED}
    with any_database.write() as session:
        for number, status in statuses.items():
            session.execute(update(Listing).where(Listing.number == number).values(status=status))
    clock.advance(days=180)
    assert remove_hidden_events(pace(any_database, clock), KEPT) == 0
    clock.advance(days=1)
    store(any_database, [event("new", "ann", 3, clock(), EventKind.HIDDEN)], clock())
    assert remove_events(pace(any_database, clock), KEPT) == 0
    assert remove_hidden_events(pace(any_database, clock), KEPT) == 6
    with any_database.read() as session:
        left = session.scalars(select(Event.listing_number).order_by(Event.number)).all()
    assert left == [1, 2] * 3 + [3]


def test_a_pass_through_what_is_hidden_reads_each_event_once(
    any_database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "LOOKED_AT", 3)
    add_listings(any_database, 2, clock())
    batch = [
        event(f"{user} {listing} {day}", f"user {user}", listing, at, EventKind.HIDDEN)
        for user in range(3)
        for listing in (1, 2)
        for day, at in enumerate([clock(), clock(), clock() + timedelta(minutes=1)])
    ]
    store(any_database, batch, clock())
    with any_database.write() as session:
        session.execute(update(Listing).values(status=ListingStatus.SOLD))
    clock.advance(days=181)
    assert remove_hidden_events(pace(any_database, clock), KEPT) == len(batch)


def test_while_the_database_is_away_it_is_said(clock: Clock, tmp_path: Path) -> None:
    nowhere = Database(f"sqlite:///{tmp_path}/nowhere/m.db")
    with pytest.raises(Unavailable):
        remove_events(pace(nowhere, clock), KEPT)
