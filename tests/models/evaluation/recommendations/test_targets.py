import numpy as np
import pytest

from models.domain.errors import InvalidInput
from models.domain.recommendations.events import EventKind
from models.evaluation.recommendations.events import DAY, Events, Lifetimes
from models.evaluation.recommendations.targets import (
    TargetOptions,
    first_test_day,
    strongest_kind,
    targets_of,
)
from tests.support.replayed_events import SOLD, Did, events_of

BOUGHT = TargetOptions(SOLD, first_day=10)
BEFORE = [Did(0, 0, 1), Did(0, 1, 2), Did(0, 2, 3)]
SAVED, VIEWED, HIDDEN, SHOWN = (
    EventKind.SAVED,
    EventKind.VIEWED,
    EventKind.HIDDEN,
    EventKind.IMPRESSION,
)


def found(done: list[Did], options: TargetOptions = BOUGHT) -> list[tuple[int, int, list[int]]]:
    targets = targets_of(events_of(done), options, None).targets
    return [(one.user, one.day, one.listings.tolist()) for one in targets]


def test_a_day_with_new_purchases_is_a_target() -> None:
    done = [*BEFORE, Did(0, 5, 10.2), Did(0, 4, 10.9), Did(0, 4, 10.1), Did(0, 6, 12)]
    assert found(done) == [(0, 10, [4, 5]), (0, 12, [6])]


def test_what_was_before_the_split_is_history() -> None:
    assert found([*BEFORE, Did(0, 4, 9.99), Did(0, 5, 10)]) == [(0, 10, [5])]


def test_history_is_strictly_before_the_day() -> None:
    # The third listing is of the same day, and so is no history.
    assert found([*BEFORE[:2], Did(0, 2, 10.0), Did(0, 5, 10.5), Did(0, 6, 11)]) == [(0, 11, [6])]


def test_the_same_listing_again_is_no_more_history() -> None:
    done = [Did(0, 0, 1), Did(0, 0, 2), Did(0, 1, 3), Did(0, 5, 10)]
    with pytest.raises(InvalidInput, match=r"from 1970-01-11 on nobody purchased"):
        found(done)


def test_what_a_user_has_touched_before_in_any_way_is_no_target() -> None:
    known = [Did(0, 3, 4, VIEWED), Did(0, 4, 5, HIDDEN), Did(0, 5, 6, SHOWN)]
    done = [*BEFORE, *known, Did(0, 3, 10), Did(0, 4, 10), Did(0, 5, 10)]
    # To have been shown it is not to have touched it.
    assert found(done) == [(0, 10, [5])]


def test_what_was_viewed_and_purchased_on_one_day_is_a_target() -> None:
    assert found([*BEFORE, Did(0, 4, 10.1, VIEWED), Did(0, 4, 10.2)]) == [(0, 10, [4])]


def test_what_was_hidden_and_shown_is_no_history() -> None:
    done = [*BEFORE[:2], Did(0, 7, 3, HIDDEN), Did(0, 8, 3, SHOWN), Did(0, 4, 10)]
    with pytest.raises(InvalidInput):
        found(done)
    assert found([*done, Did(0, 9, 3, VIEWED)]) == [(0, 10, [4])]


def test_other_kinds_count_if_they_are_stated() -> None:
    done = [*BEFORE, Did(0, 4, 10, SAVED), Did(0, 5, 11)]
    assert found(done) == [(0, 11, [5])]
    either = TargetOptions((*SOLD, SAVED), first_day=10)
    assert found(done, either) == [(0, 10, [4]), (0, 11, [5])]


def test_targets_are_in_order_of_day_and_each_user_has_a_history_of_its_own() -> None:
    others = [Did(1, one.listing, one.day) for one in BEFORE]
    done = [Did(1, 9, 11), Did(0, 9, 12), Did(0, 8, 11), Did(2, 9, 11), *BEFORE, *others]
    assert found(done) == [(0, 11, [8]), (1, 11, [9]), (0, 12, [9])]


def test_what_nobody_has_purchased_before_the_day_is_a_first() -> None:
    done = [
        *BEFORE,
        Did(1, 4, 9),
        Did(1, 5, 10.1),
        Did(1, 6, 9, VIEWED),
        *(Did(0, row, 10.5) for row in (4, 5, 6)),
    ]
    (target,) = targets_of(events_of(done), BOUGHT, None).targets
    assert target.is_first.tolist() == [False, True, True]


def test_what_was_not_listed_when_the_day_began_is_no_target() -> None:
    listed_at = np.array([0, 0, 0, 9, 10, 11, 0], np.int64) * DAY
    ended_at = np.array([9, 9, 9, 9, 9, 9, 4], np.int64) * 10 * DAY
    ended_at[6] = 9 * DAY
    done = [*BEFORE, *(Did(0, row, 10.5) for row in (3, 4, 5, 6))]
    targets = targets_of(events_of(done), BOUGHT, Lifetimes(listed_at, ended_at))
    assert [one.listings.tolist() for one in targets.targets] == [[3]]
    assert targets.unlisted == 3


def test_users_can_be_drawn() -> None:
    done = [
        *BEFORE,
        *(Did(1, one.listing, one.day) for one in BEFORE),
        Did(0, 7, 10),
        Did(1, 7, 10),
    ]
    targets = targets_of(events_of(done), BOUGHT, None)
    assert targets.users.tolist() == [0, 1]
    drawn = targets.of_users(np.array([1]))
    assert drawn.users.tolist() == [1]
    assert drawn.listings == 1


def test_the_test_part_is_a_share_of_the_time_or_so_many_days() -> None:
    events = events_of([Did(0, 0, 100), Did(0, 0, 149), Did(0, 0, 199.5)])
    assert first_test_day(events, 0.5) == 150
    assert first_test_day(events, 0.5, days=1) == 199
    assert first_test_day(events, 0.5, days=30) == 170
    assert first_test_day(events_of([Did(0, 0, 5)]), 0.5) == 5


def test_what_says_most_is_looked_for() -> None:
    def kind(*kinds: EventKind) -> tuple[EventKind, ...]:
        events = events_of([Did(0, 0, 20, one) for one in kinds] + [Did(0, 0, 3)])
        return strongest_kind(events, 10)

    assert kind(VIEWED, SAVED) == (SAVED,)
    assert kind(VIEWED, EventKind.PURCHASED) == SOLD
    assert kind(VIEWED, HIDDEN, SHOWN) == (VIEWED,)
    assert kind(SHOWN) == SOLD


def test_events_of_one_moment_have_one_order() -> None:
    done = [Did(1, 2, 5), Did(0, 3, 5), Did(1, 1, 5), Did(1, 1, 5, VIEWED), Did(0, 0, 4)]
    first, second = events_of(done), events_of(done[::-1])
    assert isinstance(first, Events)
    for name in ("users", "listings", "kinds", "at"):
        assert getattr(first, name).tolist() == getattr(second, name).tolist()
    assert first.listings.tolist() == [0, 3, 1, 1, 2]
