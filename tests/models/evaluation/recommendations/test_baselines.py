from math import log1p

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.recommendations.events import EventKind
from models.evaluation.recommendations.baselines import (
    MeanVector,
    NearestToAny,
    NearestToLast,
    Popularity,
)
from models.evaluation.recommendations.events import DAY
from models.evaluation.recommendations.item_to_item import ItemToItem
from models.evaluation.recommendations.ranking import Replay
from models.evaluation.recommendations.similarity import Similarities
from tests.support.replayed_events import SOLD, Did, events_of

NOW = 100 * DAY
# On a circle: listing by listing so many degrees from the first.
DEGREES = [0, 10, 50, 90, 130, 180]


def circle() -> Similarities:
    angles = np.radians(DEGREES)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return Similarities(rows, np.arange(len(rows)), len(rows))


def replayed(*done: Did) -> Replay:
    return Replay(events_of(done), len(DEGREES))


@given(
    scores=st.lists(st.sampled_from([0.0, 0.5, 1.0, -np.inf]), min_size=1, max_size=12),
    data=st.data(),
)
def test_the_best_are_those_of_a_whole_sort(scores: list[float], data: st.DataObject) -> None:
    n = len(scores)
    candidates = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    count = data.draw(st.integers(1, 6))
    replay = Replay(events_of([]), n, seed=data.draw(st.integers(0, 5)))
    allowed = [row for row in range(n) if candidates[row] and scores[row] > -np.inf]
    expected = sorted(allowed, key=lambda row: (-scores[row], replay.ties[row]))[:count]
    assert replay.best(np.array(scores), candidates, count).tolist() == expected


def test_popularity_is_of_thirty_days_and_of_kinds_that_count() -> None:
    done = [Did(1, 2, 99), Did(2, 2, 71), Did(3, 3, 70), Did(3, 4, 69.9), Did(3, 4, 10)]
    viewed = [Did(user, 5, 99, EventKind.VIEWED) for user in range(9)]
    replay = replayed(*done, *viewed, Did(9, 1, 100))
    popular = Popularity(replay, SOLD)
    assert popular.counts(NOW).tolist() == [0, 0, 2, 1, 0, 0]
    assert popular.top(replay.asked(0, NOW)).tolist()[:2] == [2, 3]
    # What the user has is no candidate.
    assert popular.top(replay.asked(2, NOW)).tolist()[0] == 3


def test_of_equally_popular_listings_the_last_comes_first() -> None:
    done = [Did(1, 5, 80), Did(1, 0, 95), Did(2, 3, 90), Did(1, 3, 75), Did(1, 2, 85)]
    replay = replayed(*done)
    popular = Popularity(replay, SOLD)
    assert popular.top(replay.asked(0, NOW)).tolist()[:4] == [3, 0, 2, 5]


def test_nearest_to_the_last() -> None:
    replay = replayed(Did(0, 5, 90), Did(0, 0, 95), Did(0, 3, 99, EventKind.HIDDEN), Did(0, 4, 100))
    assert NearestToLast(replay, circle()).top(replay.asked(0, NOW)).tolist() == [1, 2, 4]


def test_mean_vector() -> None:
    # Between 10 and 90 degrees.
    replay = replayed(Did(0, 1, 90), Did(0, 3, 95))
    assert MeanVector(replay, circle()).top(replay.asked(0, NOW)).tolist() == [2, 0, 4, 5]


def test_nearest_to_any_is_discounted_by_age() -> None:
    replay = replayed(Did(0, 0, 40), Did(0, 5, 100 - 1e-6))
    scores = {1: 0.5 * np.cos(np.radians(10)), 2: 0.5 * np.cos(np.radians(50)), 3: 0.0, 4: None}
    assert scores[4] is None  # cos 50, undiscounted
    assert NearestToAny(replay, circle()).top(replay.asked(0, NOW)).tolist() == [4, 1, 2, 3]
    # Touched again, it is as new as the last touch.
    again = replayed(Did(0, 0, 40), Did(0, 5, 99), Did(0, 0, 99.5))
    assert NearestToAny(again, circle()).top(again.asked(0, NOW)).tolist() == [1, 2, 4, 3]


def test_popularity_is_added_by_its_logarithm() -> None:
    bought = [Did(user, 3, 99) for user in range(1, 30)]
    replay = replayed(Did(0, 0, 100 - 1e-6), *bought)
    top = NearestToAny(replay, circle(), Popularity(replay, SOLD)).top(replay.asked(0, NOW))
    assert 0.05 * log1p(29) == pytest.approx(0.17, abs=0.01)
    # cos 90 + 0.17 is still less than cos 50, and more than cos 130.
    assert top.tolist() == [1, 2, 3, 4, 5]


def test_who_has_touched_nothing_that_can_be_seen_is_told_nothing() -> None:
    blind = Similarities(np.zeros((6, 2), np.float32), np.arange(6), 6)
    replay = replayed(Did(0, 0, 90))
    for one in (
        NearestToLast(replay, blind),
        MeanVector(replay, blind),
        NearestToAny(replay, blind),
    ):
        assert one.top(replay.asked(0, NOW)).tolist() == []


def test_what_is_touched_together_is_like_each_other() -> None:
    together = [Did(user, row, 50) for user in range(1, 5) for row in (0, 1)]
    others = [Did(user, row, 50) for user in range(5, 9) for row in (3, 4)]
    late = [Did(user, row, 100) for user in range(9, 40) for row in (0, 5)]
    replay = replayed(Did(0, 0, 99), *together, *others, *late)
    for first_day in (100, 60):
        found = ItemToItem(replay, first_day * DAY).top(replay.asked(0, NOW))
        # And nothing that nobody has touched with it.
        assert found.tolist() == [1]


def test_nothing_is_learned_from_no_touches() -> None:
    replay = replayed(Did(0, 0, 100))
    assert ItemToItem(replay, NOW).top(replay.asked(0, NOW)).tolist() == []
    replay = replayed(Did(1, 0, 99, EventKind.HIDDEN), Did(0, 0, 99))
    assert ItemToItem(replay, 99 * DAY).top(replay.asked(0, NOW)).tolist() == []
