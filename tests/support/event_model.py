"""What is told of events, by plain Python over all of them: what every answer is compared with."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from math import isclose, log2
from typing import NamedTuple

from sqlalchemy import select

from db.events import popularity, together
from db.events.popularity import HALF_LIFE, WEIGHTS
from db.events.store import AHEAD, NewEvent
from db.events.tables import KIND_CODES, TOUCHES, Event, ListingPopularity
from db.events.together import Together
from db.session import Database
from models.domain.recommendations.events import EventKind


class Row(NamedTuple):
    """An event. `user` and `event` are ids or keys, as long as they are always the same."""

    event: str | bytes
    user: str | bytes
    listing: int
    kind: EventKind
    at: datetime


def rows_of(database: Database) -> list[Row]:
    """All stored events, in the order in which they were stored."""
    with database.read() as session:
        events = session.scalars(select(Event).order_by(Event.number)).all()
    return [
        Row(event.event_key, event.user_key, event.listing_number, event.kind, event.at)
        for event in events
    ]


def stored_popularity(database: Database) -> dict[int, tuple[int, float]]:
    """The users and the score of each listing, as they are stored."""
    with database.read() as session:
        rows = session.scalars(select(ListingPopularity)).all()
    return {row.listing_number: (row.users, row.score) for row in rows}


def assert_is_as_counted(database: Database) -> None:
    """What is derived is what the stored events say."""
    assert_same_popularity(stored_popularity(database), popularity_by(rows_of(database)))


def assert_same_popularity(
    stored: dict[int, tuple[int, float]], counted: dict[int, tuple[int, float]]
) -> None:
    assert stored.keys() == counted.keys()
    for listing, (users, score) in counted.items():
        assert stored[listing][0] == users
        assert isclose(stored[listing][1], score, rel_tol=0, abs_tol=1e-6)


def _newest_of_listing(rows: Iterable[Row], listing: int, count: int) -> list[Row]:
    touches = [row for row in rows if row.listing == listing and row.kind in TOUCHES]
    touches.sort(key=lambda row: (row.at, row.user, KIND_CODES[row.kind]), reverse=True)
    return touches[:count]


def _newest_of_user(rows: Iterable[Row], user: str | bytes, count: int) -> list[Row]:
    touches = [row for row in rows if row.user == user and row.kind in TOUCHES]
    touches.sort(key=lambda row: (row.at, KIND_CODES[row.kind], row.listing), reverse=True)
    return touches[:count]


def popularity_by(rows: Sequence[Row]) -> dict[int, tuple[int, float]]:
    """The users and the score of each listing with enough users."""
    counted = {}
    for listing in {row.listing for row in rows}:
        parts: dict[str | bytes, float] = {}
        for row in _newest_of_listing(rows, listing, popularity.NEWEST):
            half_lives = (row.at - _EPOCH) / HALF_LIFE
            part = log2(WEIGHTS[row.kind]) + half_lives
            parts[row.user] = max(part, parts.get(row.user, part))
        if len(parts) >= popularity.FLOOR:
            least = int(min(parts.values()))
            total = sum(Fraction(2 ** (part - least)) for part in parts.values())
            counted[listing] = len(parts), log2(total) + least
    return counted


def together_by(
    rows: Sequence[Row], listings: Collection[int], count: int, besides: str | bytes
) -> list[Together]:
    """What is touched together with these listings, most users first."""
    found = []
    for listing in listings:
        newest = _newest_of_listing(rows, listing, together.TOUCHES_OF_LISTING)
        counts: Counter[int] = Counter()
        for user in {row.user for row in newest} - {besides}:
            of_user = _newest_of_user(rows, user, together.TOUCHES_OF_USER)
            counts.update({row.listing for row in of_user} - {listing})
        found += [
            Together(listing, other, users)
            for other, users in counts.items()
            if users >= popularity.FLOOR
        ]
    found.sort(key=lambda one: (-one.users, one.other, one.listing_number))
    return found[:count]


def listings_by_kind(rows: Iterable[Row], user: str | bytes) -> dict[EventKind, set[int]]:
    """The listings that a user has done each kind of thing with."""
    of_kinds: dict[EventKind, set[int]] = defaultdict(set)
    for row in rows:
        if row.user == user:
            of_kinds[row.kind].add(row.listing)
    return of_kinds


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")


@dataclass
class EventModel:
    """The events that are to be there. Keys of users decide between touches of the same time."""

    listings: int
    keys: dict[str, bytes]
    rows: list[Row] = field(default_factory=list)

    def store(self, batch: Sequence[NewEvent], now: datetime) -> tuple[int, int, list[int]]:
        """How many are stored, and were before; and which are rejected."""
        stored = duplicates = 0
        rejected = []
        for index, event in enumerate(batch):
            if event.listing_id.int > self.listings or event.at > now + AHEAD:
                rejected.append(index)
            elif event.event_id in {row.event for row in self.rows}:
                duplicates += 1
            else:
                stored += 1
                at = event.at - timedelta(microseconds=event.at.microsecond % 1000)
                user = self.keys[event.user]
                self.rows.append(Row(event.event_id, user, event.listing_id.int, event.kind, at))
        return stored, duplicates, rejected

    def forget(self, user: str) -> None:
        self.rows = [row for row in self.rows if row.user != self.keys[user]]

    def prune(self, kept_since: datetime) -> None:
        """What is hidden stays: all listings are for sale."""
        self.rows = [
            row for row in self.rows if row.at >= kept_since or row.kind is EventKind.HIDDEN
        ]
