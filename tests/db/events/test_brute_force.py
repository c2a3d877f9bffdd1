"""After any history, what is told of events is what plain Python tells of those that are there."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event as Stop
from typing import Final
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from db.catalogue.listings import delete_listing
from db.events import forget, history, popularity, together
from db.events.history import events_of_user, listings_of_user, recent_impressions, recent_touches
from db.events.popularity import most_popular
from db.events.store import NewEvent
from db.events.tables import TOUCHES, Event, ListingPopularity
from db.events.users import user_key
from db.session import Database
from models.domain.recommendations.events import EventKind
from tests.support.event_model import (
    EventModel,
    assert_same_popularity,
    listings_by_kind,
    popularity_by,
    stored_popularity,
    together_by,
)
from tests.support.events import add_listings, store
from workers.retention.policy import RetentionPolicy
from workers.retention.steps import Pace, remove_events

NOW: Final = datetime(2030, 6, 1, tzinfo=UTC)
LISTINGS: Final = 4
USERS: Final = ("ann", "bob", "cyd")


@dataclass(frozen=True)
class Forget:
    user: str


@dataclass(frozen=True)
class Prune:
    days: int


EVENTS = st.builds(
    NewEvent,
    event_id=st.integers(0, 120).map(str),
    user=st.sampled_from(USERS),
    kind=st.sampled_from([*EventKind, *TOUCHES]),
    # One more than there are.
    listing_id=st.integers(1, LISTINGS + 1).map(lambda number: UUID(int=number)),
    # Many at the same time, some with parts of a millisecond, some in the future.
    at=st.integers(-2, 40).map(
        lambda days: NOW - timedelta(days=days, microseconds=days % 3 * 700)
    ),
)
# Many at once: of few, no listing has enough users for anything to be told.
BATCHES = st.lists(EVENTS, min_size=20, max_size=40)
STEPS = st.one_of(
    BATCHES,
    st.lists(EVENTS, max_size=5),
    st.builds(Forget, st.sampled_from(USERS)),
    st.builds(Prune, st.integers(5, 40)),
)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that small histories reach."""
    monkeypatch.setattr(popularity, "NEWEST", 6)
    monkeypatch.setattr(popularity, "FLOOR", 2)
    monkeypatch.setattr(together, "TOUCHES_OF_LISTING", 5)
    monkeypatch.setattr(together, "TOUCHES_OF_USER", 3)
    monkeypatch.setattr(history, "SEEN_IMPRESSIONS", 3)
    monkeypatch.setattr(forget, "PRUNED_AT_ONCE", 4)


@dataclass
class Site:
    """A database, and the model of its events."""

    database: Database
    model: EventModel

    @classmethod
    def emptied(cls, database: Database) -> "Site":
        with database.write() as session:
            session.execute(delete(Event))
            session.execute(delete(ListingPopularity))
            keys = {user: user_key(session, user) for user in USERS}
        return cls(database, EventModel(LISTINGS, keys))

    def take(self, step: list[NewEvent] | Forget | Prune) -> None:
        if isinstance(step, Forget):
            with self.database.write() as session:
                forget.forget_events(session, user_key(session, step.user))
            self.model.forget(step.user)
        elif isinstance(step, Prune):
            kept = timedelta(days=step.days)
            remove_events(Pace(self.database, lambda: NOW, NoRest()), RetentionPolicy(events=kept))
            self.model.prune(NOW - kept)
        else:
            told = store(self.database, step, NOW)
            expected = self.model.store(step, NOW)
            assert (told.stored, told.duplicates) == expected[:2]
            assert [one.index for one in told.rejected] == expected[2]

    def check_user(self, user: bytes, count: int, days: int) -> None:
        since = NOW - timedelta(days=days)
        mine = [row for row in self.model.rows if row.user == user]
        kinds = listings_by_kind(mine, user)
        with self.database.read() as session:
            touches = recent_touches(session, user, count, since)
            saved = recent_touches(session, user, count, since, {EventKind.SAVED})
            shown = recent_impressions(session, user, count, since)
            listings = listings_of_user(session, user)
            exported = events_of_user(session, user, 1000, None)
        for told, wanted in (
            (touches, TOUCHES),
            (saved, {EventKind.SAVED}),
            (shown, {EventKind.IMPRESSION}),
        ):
            fitting = [row for row in mine if row.kind in wanted and row.at >= since]
            fitting.sort(key=lambda row: row.at, reverse=True)
            assert [event.at for event in told] == [row.at for row in fitting[:count]]
            assert {(e.listing_number, e.kind, e.at) for e in told} <= {
                (row.listing, row.kind, row.at) for row in fitting
            }
        assert listings.hidden == kinds[EventKind.HIDDEN]
        assert listings.contacted == kinds[EventKind.CONTACTED]
        assert listings.purchased == kinds[EventKind.PURCHASED]
        seen = sorted(
            ((row.at, row.listing) for row in mine if row.kind == EventKind.IMPRESSION),
            reverse=True,
        )[: history.SEEN_IMPRESSIONS]
        assert listings.seen == {listing for _, listing in seen}.union(
            *(kinds[kind] for kind in TOUCHES)
        )
        assert [(e.at, e.kind, e.listing_number) for e in exported] == [
            (row.at, row.kind, row.listing)
            # Of the same time, the one that was stored last comes first.
            for _, _, row in sorted(((row.at, n, row) for n, row in enumerate(mine)), reverse=True)
        ]

    def check_all(self) -> None:
        counted = popularity_by(self.model.rows)
        assert_same_popularity(stored_popularity(self.database), counted)
        with self.database.read() as session:
            for besides in (b"", *self.model.keys.values()):
                told = together.touched_together(session, [1, 2, 3], 7, besides)
                assert told == together_by(self.model.rows, [1, 2, 3], 7, besides)
            popular = most_popular(session, 3, NOW)
        best = sorted(counted, key=lambda listing: (counted[listing][1], listing), reverse=True)
        assert [one.users for one in popular] == [counted[listing][0] for listing in best[:3]]


class NoRest(Stop):
    """Never set, and waits for nothing."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        return False


@pytest.mark.usefixtures("few")
def test_after_any_history_all_is_told_as_it_is(any_database: Database) -> None:
    add_listings(any_database, LISTINGS, NOW)

    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    @given(
        BATCHES,
        st.lists(STEPS, min_size=1, max_size=4),
        st.integers(1, 8),
        st.integers(1, 40),
    )
    def check(
        first: list[NewEvent],
        then: list[list[NewEvent] | Forget | Prune],
        count: int,
        days: int,
    ) -> None:
        site = Site.emptied(any_database)
        for step in [first, *then]:
            site.take(step)
            site.check_all()
        for user in site.model.keys.values():
            site.check_user(user, count, days)

    check()


@pytest.mark.usefixtures("few")
def test_what_is_known_of_deleted_listings_stays_and_they_are_not_popular(
    any_database: Database,
) -> None:
    add_listings(any_database, LISTINGS, NOW)
    site = Site.emptied(any_database)
    batch = [
        NewEvent(f"{user} {n}", user, EventKind.VIEWED, UUID(int=n), NOW - timedelta(days=n))
        for user in USERS
        for n in (1, 2, 3)
    ]
    site.take(batch)
    with any_database.write() as session:
        delete_listing(session, UUID(int=1), NOW)
    site.take([NewEvent("late", "ann", EventKind.PURCHASED, UUID(int=1), NOW)])
    site.check_user(site.model.keys["ann"], 10, 40)
    with any_database.read() as session:
        assert [one.listing_number for one in most_popular(session, 5, NOW)] == [2, 3]
    assert 1 in stored_popularity(any_database)
