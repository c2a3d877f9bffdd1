"""The moments at which users chose something, in the events of the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.domain.errors import InvalidInput
from models.domain.recommendations.events import EventKind
from models.domain.recommendations.options import KindWeights
from models.evaluation.recommendations.events import DAY, KINDS
from models.evaluation.recommendations.ranking import Replay
from models.evaluation.recommendations.targets import Target, TargetOptions, targets_of
from models.ranking.shown_lists import ShownList

MIN_HISTORY: Final = 1
"""Listings that a user must have touched before: of others there is no interest to learn from."""
CHOOSING: Final = (
    EventKind.VIEWED,
    EventKind.SAVED,
    EventKind.CONTACTED,
    EventKind.PURCHASED,
)
"""What users do with what they choose."""


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """When a user, by number, chose something: `gains` by the rows of listings.

    `moment` is in milliseconds since 1970. `shown` has the list that it was chosen from, None where
    it was found in some other way.
    """

    moment: int
    user: int
    gains: Mapping[int, float]
    shown: ShownList | None = None


def moments_of(
    replay: Replay, lists: Sequence[ShownList], kinds: KindWeights, count: int
) -> list[Moment]:
    """The newest moments: at most `count` lists, and as many days of users who chose otherwise.

    What was chosen from a list is none of what its user chose otherwise.
    """
    from_lists = [Moment(one.moment, one.user, _gains_of(one), one) for one in lists]
    from_lists.sort(key=_when)
    told = {(one.user, row) for one in from_lists for row in one.gains}
    others: list[Moment] = []
    for target in reversed(_targets(replay)):
        if len(others) == count:
            break
        rows = [row for row in target.listings.tolist() if (target.user, row) not in told]
        gains = _gains_on(replay, target, rows, kinds)
        if gains:
            others.append(Moment(target.moment, target.user, gains))
    newest = from_lists[max(0, len(from_lists) - count) :]
    return sorted([*newest, *others], key=_when)


def gains_of_kinds(kinds: KindWeights) -> dict[EventKind, float]:
    """What each kind of choice is worth."""
    return {kind: kinds.by_kind[kind] for kind in CHOOSING if kinds.by_kind[kind]}


def _when(moment: Moment) -> tuple[int, int]:
    return moment.moment, moment.user


def _gains_of(shown: ShownList) -> dict[int, float]:
    chosen = shown.gains > 0
    return dict(zip(shown.listings[chosen].tolist(), shown.gains[chosen].tolist(), strict=True))


def _targets(replay: Replay) -> Sequence[Target]:
    """Days on which users touched listings that they had not touched before, oldest first."""
    events = replay.events
    if not len(events):
        return []
    options = TargetOptions(CHOOSING, int(events.at[0]) // DAY, MIN_HISTORY)
    try:
        return targets_of(events, options, replay.lifetimes).targets
    except InvalidInput:  # there is none
        return []


def _gains_on(
    replay: Replay, target: Target, rows: Sequence[int], kinds: KindWeights
) -> dict[int, float]:
    """What some of a target's listings were worth, each by the best that was done with it then."""
    history = replay.of_user.before(target.user, target.moment + DAY)
    history = history[np.searchsorted(replay.events.at[history], target.moment) :]
    worth = gains_of_kinds(kinds)
    gains: dict[int, float] = {}
    for row, kind in zip(
        replay.events.listings[history].tolist(), replay.events.kinds[history].tolist(), strict=True
    ):
        gain = worth.get(KINDS[kind], 0.0)
        if gain and row in rows:
            gains[row] = max(gain, gains.get(row, 0.0))
    return gains
