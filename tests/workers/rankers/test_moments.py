"""When users chose something: from lists, and otherwise."""

import numpy as np

from models.domain.recommendations.events import EventKind
from models.domain.recommendations.options import KindWeights
from models.evaluation.recommendations.events import DAY, KINDS, Events
from models.evaluation.recommendations.ranking import Replay
from models.ranking.shown_lists import ShownList
from workers.rankers.moments import Moment, moments_of

VIEWED, SAVED, HIDDEN, SHOWN = (
    EventKind.VIEWED,
    EventKind.SAVED,
    EventKind.HIDDEN,
    EventKind.IMPRESSION,
)
WORTH = KindWeights()

Did = tuple[int, int, EventKind, float]
"""A user, a listing, what was done, and on which day."""


def replay(*did: Did) -> Replay:
    users, listings, kinds, days = zip(*did, strict=True) if did else ((), (), (), ())
    return Replay(
        Events.ordered(
            np.array(users, np.int64),
            np.array(listings, np.int64),
            np.array([KINDS.index(kind) for kind in kinds], np.int64),
            np.array([int(day * DAY) for day in days], np.int64),
        ),
        10,
    )


def told(moments: list[Moment]) -> list[tuple[int, int, dict[int, float], bool]]:
    return [
        (one.moment // DAY, one.user, dict(one.gains), one.shown is not None) for one in moments
    ]


def a_list(user: int, day: float, chosen: int) -> ShownList:
    gains = np.array([0.8, 0.0])
    return ShownList(user, int(day * DAY), np.array([chosen, 9]), np.arange(2), gains)


def test_a_day_counts_by_the_best_that_was_done_with_what_is_new_to_the_user() -> None:
    events = replay(
        (0, 1, VIEWED, 1.1),
        (0, 2, VIEWED, 2.1),
        (0, 2, SAVED, 2.2),
        (0, 2, SAVED, 3.1),
        (0, 1, SAVED, 2.3),
        (0, 3, VIEWED, 2.4),
        (0, 4, HIDDEN, 2.5),
        (0, 5, SHOWN, 2.6),
        (1, 2, VIEWED, 2.1),
    )
    # The first day of a user has no history, nor have users of one day.
    gains = {2: WORTH.saved, 3: WORTH.viewed}
    assert told(moments_of(events, [], WORTH, 10)) == [(2, 0, gains, False)]


def test_what_was_chosen_from_a_list_is_not_learned_from_twice() -> None:
    events = replay((0, 1, VIEWED, 1.1), (0, 2, SAVED, 2.1), (0, 3, SAVED, 2.2), (0, 4, SAVED, 3.1))
    lists = [a_list(0, 2.05, 2), a_list(0, 2.9, 4)]
    assert told(moments_of(events, lists, WORTH, 10)) == [
        (2, 0, {3: WORTH.saved}, False),
        (2, 0, {2: 0.8}, True),
        (2, 0, {4: 0.8}, True),
    ]


def test_the_newest_are_taken_in_order_of_time() -> None:
    events = replay(*((0, day, VIEWED, day + 0.1) for day in range(8)))
    lists = [a_list(1, day + 0.5, 1) for day in (5, 2, 3)]
    taken = told(moments_of(events, lists, WORTH, 2))
    assert [(day, user) for day, user, _, _ in taken] == [(3, 1), (5, 1), (6, 0), (7, 0)]


def test_without_events_there_is_nothing() -> None:
    assert moments_of(replay(), [], WORTH, 10) == []
    assert moments_of(replay((0, 1, SHOWN, 1)), [], WORTH, 10) == []
