"""Programs that tests kill: `python -m tests.support.event_program URL WHAT`, until they are."""

import sys
from datetime import UTC, datetime, timedelta
from threading import Event as Stop
from typing import Final
from uuid import UUID

from db.events.forget import forget_events
from db.events.store import NewEvent, store_events
from db.events.users import user_key
from db.session import Database
from models.domain.recommendations.events import EventKind
from workers.retention.policy import RetentionPolicy
from workers.retention.steps import Pace, remove_events

NOW: Final = datetime(2030, 6, 1, tzinfo=UTC)
LISTINGS: Final = 20
USERS: Final = 12
BATCHES: Final = 60
PER_BATCH: Final = 100
KEPT: Final = timedelta(days=90)


def batch(number: int) -> list[NewEvent]:
    """The events of a batch; half of all are older than they are kept."""
    kinds = list(EventKind)
    return [
        NewEvent(
            f"{number} {n}",
            f"user {(number + n * 7) % USERS}",
            kinds[(number + n) % len(kinds)],
            UUID(int=(number * n) % LISTINGS + 1),
            NOW - timedelta(days=(number * 31 + n * 17) % 180),
        )
        for n in range(PER_BATCH)
    ]


def store_all(database: Database) -> None:
    """Store every batch, the newest first, as who was cut off sends all again."""
    for number in range(BATCHES):
        with database.write() as session:
            store_events(session, batch(number), NOW)


def prune_all(database: Database) -> None:
    """Prune without rests."""
    # So that more of it is killed at work.
    pace = Pace(database, lambda: NOW, Stop(), rest_s=0.0)
    remove_events(pace, RetentionPolicy(events=KEPT))


def forget_all(database: Database) -> None:
    """Forget every second user."""
    for number in range(0, USERS, 2):
        with database.write() as session:
            forget_events(session, user_key(session, f"user {number}"))


PROGRAMS: Final = {"store": store_all, "prune": prune_all, "forget": forget_all}

if __name__ == "__main__":
    url, what = sys.argv[1:]
    sys.stdout.write("begins\n")
    sys.stdout.flush()
    PROGRAMS[what](Database(url))
