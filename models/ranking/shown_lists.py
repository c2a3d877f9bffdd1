"""Lists that were shown to users, and what they chose from them. Pure."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from models.domain.recommendations.events import EventKind
from models.ranking.choices import NO_POSITION, Doubles, Integers


class ListEvent(NamedTuple):
    """An event that names the list it belongs to.

    `user` and `listing` are numbers, `at` is a time in any unit, `position` counts from 1.
    """

    search: Hashable
    user: int
    listing: int
    kind: EventKind
    at: int
    position: int | None


@dataclass(frozen=True, slots=True, eq=False)
class ShownList:
    """What one user was shown as one list, n listings, and what each was worth to the user.

    `moment` is when the first of it was shown. `positions` (n,) count from 0; `NO_POSITION` where
    it was not said.
    """

    user: int
    moment: int
    listings: Integers
    positions: Integers
    gains: Doubles


@dataclass(slots=True)
class _Shown:
    at: int
    position: int
    gain: float = 0.0


@dataclass(slots=True)
class _List:
    shown: dict[int, _Shown] = field(default_factory=dict)
    touches: list[ListEvent] = field(default_factory=list)


def shown_lists(events: Iterable[ListEvent], gains: Mapping[EventKind, float]) -> list[ShownList]:
    """The lists that something was chosen from, the first shown first; events are in any order.

    A listing is worth the best that its user did with it, by `gains`, after it was shown and naming
    the same list. One that is shown more often is where, and when, it was first.
    """
    lists: dict[tuple[Hashable, int], _List] = {}
    for event in events:
        found = lists.setdefault((event.search, event.user), _List())
        if event.kind is EventKind.IMPRESSION:
            _show(found, event)
        elif event.kind in gains:
            found.touches.append(event)
    for found in lists.values():
        for touch in found.touches:
            shown = found.shown.get(touch.listing)
            if shown is not None and shown.at <= touch.at:
                shown.gain = max(shown.gain, gains[touch.kind])
    made = [
        _made(user, found.shown)
        for (_, user), found in lists.items()
        if any(shown.gain for shown in found.shown.values())
    ]
    return sorted(made, key=lambda one: (one.moment, one.user))


def _show(found: _List, event: ListEvent) -> None:
    position = NO_POSITION if event.position is None else max(event.position - 1, 0)
    before = found.shown.get(event.listing)
    if before is None or event.at < before.at:
        found.shown[event.listing] = _Shown(event.at, position)


def _made(user: int, shown: Mapping[int, _Shown]) -> ShownList:
    listings = sorted(shown, key=lambda listing: (shown[listing].position, listing))
    return ShownList(
        user=user,
        moment=min(one.at for one in shown.values()),
        listings=np.array(listings, np.int64),
        positions=np.array([shown[listing].position for listing in listings], np.int64),
        gains=np.array([shown[listing].gain for listing in listings], np.float64),
    )
