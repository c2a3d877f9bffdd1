"""What was chosen from a list is what was touched after it was shown, naming the same list."""

import random

from hypothesis import given
from hypothesis import strategies as st

from models.domain.recommendations.events import EventKind
from models.ranking.shown_lists import ListEvent, shown_lists

GAINS = {EventKind.VIEWED: 1.0, EventKind.SAVED: 3.0, EventKind.PURCHASED: 5.0}
IMPRESSION, VIEWED, SAVED, HIDDEN = (
    EventKind.IMPRESSION,
    EventKind.VIEWED,
    EventKind.SAVED,
    EventKind.HIDDEN,
)


def shown(listing: int, position: int | None, at: int = 1, search: str = "a") -> ListEvent:
    return ListEvent(search, 1, listing, IMPRESSION, at, position)


def touch(
    listing: int, kind: EventKind = VIEWED, at: int = 2, search: str = "a", user: int = 1
) -> ListEvent:
    return ListEvent(search, user, listing, kind, at, None)


def test_a_list_is_what_was_shown_with_the_best_that_was_done() -> None:
    (found,) = shown_lists(
        [touch(8), shown(7, 1), shown(8, 2), shown(9, 3), touch(8, SAVED, 3), touch(8)], GAINS
    )
    assert (found.user, found.moment) == (1, 1)
    assert found.listings.tolist() == [7, 8, 9]
    assert found.positions.tolist() == [0, 1, 2]
    assert found.gains.tolist() == [0, 3, 0]


def test_what_does_not_count() -> None:
    """Touches before it was shown, of another list or user, hiding, and what was not shown."""
    events = [shown(7, 1, at=5), shown(8, None, at=5), touch(8, at=9)]
    others = [
        touch(7, at=4),
        touch(7, at=9, search="b"),
        touch(7, at=9, user=2),
        touch(7, HIDDEN, at=9),
        touch(10, at=9),
    ]
    (found,) = shown_lists(events + others, GAINS)
    assert found.listings.tolist() == [8, 7]
    assert found.positions.tolist() == [-1, 0]
    assert found.gains.tolist() == [1, 0]


def test_lists_without_a_choice_are_none() -> None:
    assert shown_lists([shown(7, 1), shown(8, 2), touch(9)], GAINS) == []
    assert shown_lists([], GAINS) == []


def test_what_is_shown_again_is_where_it_was_first() -> None:
    (found,) = shown_lists([shown(7, 9, at=3), shown(7, 2, at=1), touch(7)], GAINS)
    assert (found.moment, found.positions.tolist()) == (1, [1])


event = st.builds(
    ListEvent,
    search=st.sampled_from("ab"),
    user=st.integers(1, 2),
    listing=st.integers(1, 4),
    kind=st.sampled_from(EventKind),
    at=st.integers(0, 20),
    position=st.one_of(st.none(), st.integers(0, 5)),
)


@given(st.lists(event, max_size=40, unique_by=lambda one: (one[:3], one.at)), st.integers())
def test_the_order_of_events_does_not_matter(events: list[ListEvent], seed: int) -> None:
    def told(of: list[ListEvent]) -> list[list[object]]:
        return [
            [one.user, one.moment, *map(list, (one.listings, one.positions, one.gains))]
            for one in shown_lists(of, GAINS)
        ]

    other = events.copy()
    random.Random(seed).shuffle(other)
    assert sorted(told(events), key=str) == sorted(told(other), key=str)
    assert all(max(one.gains) > 0 for one in shown_lists(events, GAINS))
