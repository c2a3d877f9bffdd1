"""Old events are deleted in the background, a few at a time, and nothing else is."""

from datetime import timedelta
from pathlib import Path
from threading import Event as Stop

import pytest
from sqlalchemy import func, select, text

from db.events import forget
from db.events.tables import Event
from db.session import Database
from models.domain.errors import Unavailable
from tests.support.clock import Clock
from tests.support.event_model import assert_is_as_counted, stored_popularity
from tests.support.events import add_listings, event, store
from tests.support.waiting import OneRound
from workers.events import pruning
from workers.events.pruning import prune_expired, run_pruning

KEPT = timedelta(days=180)


def stored(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Event)) or 0


def test_events_are_deleted_when_they_are_older_than_they_are_kept(
    any_database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "PRUNED_AT_ONCE", 7)
    monkeypatch.setattr(pruning, "REST_S", 0)
    add_listings(any_database, 2, clock())
    # The older ones are stored last, as who imports them later does.
    batch = [
        event(f"{days} {user}", f"user {user}", days % 2 + 1, clock() - timedelta(days=days))
        for days in range(20)
        for user in range(4)
    ]
    store(any_database, batch, clock())
    assert prune_expired(any_database, KEPT, clock, Stop()) == 0
    clock.advance(days=170)
    assert prune_expired(any_database, KEPT, clock, Stop()) == 36
    assert_is_as_counted(any_database)
    clock.advance(days=11)
    assert prune_expired(any_database, KEPT, clock, Stop()) == 44
    assert stored(any_database) == 0
    assert stored_popularity(any_database) == {}


def test_only_what_is_too_old_is_deleted(any_database: Database, clock: Clock) -> None:
    add_listings(any_database, 1, clock())
    ages = [timedelta(0), KEPT, KEPT + timedelta(milliseconds=1), KEPT * 2]
    batch = [event(f"{age}", "ann", 1, clock() - age) for age in ages]
    store(any_database, batch, clock())
    assert prune_expired(any_database, KEPT, clock, Stop()) == 2
    with any_database.read() as session:
        left = session.scalars(select(Event.at).order_by(Event.number)).all()
    assert left == [clock(), clock() - KEPT]


def test_what_breaks_is_logged_and_tried_again(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with database.write() as session:
        session.execute(text("DROP TABLE events"))
    run_pruning(database, KEPT, clock, OneRound())
    assert "old events could not be deleted" in caplog.text


def test_while_the_database_is_away_it_goes_on(clock: Clock, tmp_path: Path) -> None:
    nowhere = Database(f"sqlite:///{tmp_path}/nowhere/m.db")
    with pytest.raises(Unavailable):
        prune_expired(nowhere, KEPT, clock, Stop())
    run_pruning(nowhere, KEPT, clock, OneRound())
