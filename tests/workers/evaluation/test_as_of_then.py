"""As of any day, all events as arrays say what the database has said on that day."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np
import pytest

from db.events import popularity, together
from db.events.popularity import most_popular, popularity_of
from db.events.store import NewEvent
from db.events.tables import TOUCHES
from db.events.together import Together, touched_together
from db.events.users import user_keys
from db.session import Database
from models.domain.recommendations.events import EventKind
from models.evaluation.recommendations.popularity import PopularityAsOf
from models.evaluation.recommendations.ranking import Replay
from models.evaluation.recommendations.together import TogetherAsOf
from tests.support.events import add_listings, store
from tests.support.replayed_events import bare_catalogue
from workers.evaluation.catalogue import milliseconds
from workers.evaluation.events import stored_events
from workers.evaluation.recommendations import popularity_rules, together_rules

FIRST: Final = datetime(2030, 6, 1, tzinfo=UTC)
DAYS: Final = 5
LISTINGS: Final = 7
USERS: Final = ("ann", "bob", "cyd", "dan", "eve")
ASKED: Final = (1, 2, 5)


class Then(NamedTuple):
    """What the database said when a day began."""

    moment: datetime
    popular: list[int]
    values: dict[int, float]
    pairs: dict[str, list[Together]]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that small histories reach."""
    monkeypatch.setattr(popularity, "NEWEST", 6)
    monkeypatch.setattr(popularity, "FLOOR", 2)
    monkeypatch.setattr(together, "TOUCHES_OF_LISTING", 5)
    monkeypatch.setattr(together, "TOUCHES_OF_USER", 3)


def drawn(day: int, rng: np.random.Generator) -> list[NewEvent]:
    """Events of a day, many of them at the same time, or of the same millisecond."""
    kinds = [*EventKind, *sorted(TOUCHES), *sorted(TOUCHES)]
    return [
        NewEvent(
            f"{day} {number}",
            USERS[rng.integers(len(USERS))],
            kinds[rng.integers(len(kinds))],
            UUID(int=int(rng.integers(1, LISTINGS + 1))),
            FIRST + timedelta(days=day, microseconds=700 * int(rng.integers(9))),
        )
        for number in range(int(rng.integers(30)))
    ]


def ask(database: Database, moment: datetime) -> Then:
    with database.read() as session:
        keys = dict(zip(USERS, user_keys(session, USERS), strict=True))
        values = popularity_of(session, range(1, LISTINGS + 1), moment)
        return Then(
            moment,
            [one.listing_number for one in most_popular(session, 4, moment)],
            {number: one.popularity for number, one in values.items()},
            {user: touched_together(session, ASKED, 9, key) for user, key in keys.items()},
        )


def numbers_of_users(database: Database, events: Sequence[NewEvent]) -> dict[str, int]:
    """Users are numbered in order of their keys; a user without an event has no number."""
    with database.read() as session:
        keys = dict(zip(USERS, user_keys(session, USERS), strict=True))
    having = {one.user for one in events}
    order = sorted(having, key=lambda user: keys[user])
    return {user: order.index(user) if user in having else -1 for user in USERS}


@pytest.mark.parametrize("seed", range(4))
def test_arrays_say_what_was_said(any_database: Database, seed: int) -> None:
    rng = np.random.default_rng(seed)
    add_listings(any_database, LISTINGS, FIRST)
    said, done = [], []
    for day in range(DAYS):
        events = drawn(day, rng)
        done += events
        store(any_database, events, FIRST + timedelta(days=day + 1))
        said.append(ask(any_database, FIRST + timedelta(days=day + 1)))
    with any_database.read() as session:
        read = stored_events(session, bare_catalogue(LISTINGS))
    users = numbers_of_users(any_database, done)
    replay = Replay(read.events, LISTINGS)
    popular = PopularityAsOf(replay, popularity_rules())
    beside = TogetherAsOf(replay, together_rules())
    assert sum(map(len, (then.values for then in said))) > DAYS
    # Also back to days that were asked for before.
    for then in [*said, *said[::-2]]:
        moment = milliseconds(then.moment)
        scores = popular.scores(moment)
        values = popular.values(np.arange(LISTINGS), moment)
        counted = {row + 1: value for row, value in enumerate(values.tolist()) if value}
        assert counted == pytest.approx(then.values)
        order = np.lexsort((-np.arange(LISTINGS), -scores))
        best = [row + 1 for row in order.tolist() if scores[row] > -np.inf]
        assert best[:4] == then.popular
        rows = np.array(ASKED) - 1
        for user, pairs in then.pairs.items():
            found = beside.pairs(rows, moment, users[user], 9)
            assert [(one.listing + 1, one.other + 1, one.users) for one in found] == pairs
