"""What is to be found: by a global split in time, day by day and user by user. Pure.

A target is a day (UTC) after the split on which a user touched, by one of the kinds that count,
listings that the user had not touched before in any way. What is known is strictly before that
day: a recommender is asked as of its beginning. Ji, Sun, Zhang and Li, "A Critical Study on Data
Leakage in Recommender System Offline Evaluation", ACM TOIS 2023, show what a split by user, such
as leave-one-out, lets through.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from models.domain.errors import InvalidInput
from models.domain.recommendations.events import EventKind
from models.evaluation.recommendations.events import (
    DAY,
    SHOWN,
    Events,
    Integers,
    Lifetimes,
    Mask,
    kind_numbers,
)

MIN_HISTORY: Final = 3
"""Listings that a user has touched before."""

STRONGEST: Final = (
    EventKind.PURCHASED,
    EventKind.CONTACTED,
    EventKind.SAVED,
    EventKind.VIEWED,
)
"""Kinds that may be targets, the one that says most first."""


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """What counts as a target.

    `kinds` are those of touches to be found, `first_day` is the first day of the test part, since
    1970, and `min_history` how many listings a user must have touched before.
    """

    kinds: tuple[EventKind, ...]
    first_day: int
    min_history: int = MIN_HISTORY


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What a user touched on a day (since 1970): `listings` (t,), rows in order.

    `is_first` (t,) says of which of them nobody had touched before that day by a kind that counts.
    """

    user: int
    day: int
    listings: Integers
    is_first: Mask

    @property
    def moment(self) -> int:
        """The beginning of the day, in milliseconds."""
        return self.day * DAY


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """All targets, in order of day and user.

    `unlisted` touches were of listings that were not listed when their day began: nothing can
    recommend them then, and they are no targets.
    """

    targets: Sequence[Target]
    unlisted: int

    @property
    def users(self) -> Integers:
        """The user of each target."""
        return np.array([target.user for target in self.targets], np.int64)

    @property
    def listings(self) -> int:
        """How many listings are to be found, counted once for each target."""
        return sum(len(target.listings) for target in self.targets)

    def of_users(self, users: Integers) -> "Targets":
        """The targets of these users."""
        kept = np.isin(self.users, users)
        return Targets(
            [target for target, is_kept in zip(self.targets, kept, strict=True) if is_kept],
            self.unlisted,
        )


def targets_of(events: Events, options: TargetOptions, lifetimes: Lifetimes | None) -> Targets:
    """The targets in these events.

    Without `lifetimes` all listings always were listed. Raises `InvalidInput` where there is none.
    """
    touches = events.where(events.kinds != SHOWN)
    counted = np.isin(touches.kinds, kind_numbers(options.kinds))
    pairs, first = _pairs(touches)
    # Of each pair of user and listing, the day of its first touch, if one that counts was that day.
    day = touches.at // DAY
    first_day = day[first][pairs]
    hits = np.flatnonzero(counted & (day == first_day) & (day >= options.first_day))
    hits = hits[np.unique(pairs[hits], return_index=True)[1]]
    known = _known_before(touches, hits)
    hits = hits[known >= options.min_history]
    users, listings, days = touches.users[hits], touches.listings[hits], day[hits]
    is_listed = (
        np.ones(len(hits), np.bool_) if lifetimes is None else lifetimes.of(listings, days * DAY)
    )
    found = _grouped(
        users[is_listed], listings[is_listed], days[is_listed], _firsts(events, options)
    )
    if not found:
        raise InvalidInput(_nothing(options))
    return Targets(found, int((~is_listed).sum()))


def _nothing(options: TargetOptions) -> str:
    kinds = " or ".join(options.kinds)
    day = np.datetime64(options.first_day, "D")
    return (
        f"There is nothing to find: from {day} on nobody {kinds} a listing that was listed before "
        f"that day, after having touched {options.min_history} others."
    )


def _pairs(touches: Events) -> tuple[Integers, Integers]:
    """The number of each touch's pair of user and listing, and each pair's first touch."""
    keys = touches.users * (touches.listings.max(initial=0) + 1) + touches.listings
    _, first, pairs = np.unique(keys, return_index=True, return_inverse=True)
    return pairs, first


def _known_before(touches: Events, hits: Integers) -> Integers:
    """How many listings the user of each hit had touched before its day, other than by hiding."""
    liked = touches.touches
    _, first = _pairs(liked)
    first = first[np.lexsort((liked.at[first], liked.users[first]))]
    # One number for user and day, so that one search counts those of the user before the day.
    span = int(touches.at.max(initial=0)) // DAY + 2
    keys = liked.users[first] * span + liked.at[first] // DAY
    users, days = touches.users[hits], touches.at[hits] // DAY
    before = np.searchsorted(keys, users * span + days)
    return np.asarray(before - np.searchsorted(keys, users * span), np.int64)


def _firsts(events: Events, options: TargetOptions) -> Integers:
    """The day on which each listing was first touched by a kind that counts; far off if never."""
    counted = events.of(options.kinds)
    never = np.iinfo(np.int64).max
    firsts = np.full(int(events.listings.max(initial=-1)) + 1, never)
    np.minimum.at(firsts, counted.listings, counted.at // DAY)
    return firsts


def _grouped(users: Integers, listings: Integers, days: Integers, firsts: Integers) -> list[Target]:
    order = np.lexsort((listings, users, days))
    users, listings, days = users[order], listings[order], days[order]
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = (users[1:] != users[:-1]) | (days[1:] != days[:-1])
    starts = np.flatnonzero(is_new).tolist()
    return [
        Target(
            int(users[start]),
            int(days[start]),
            listings[start:end],
            firsts[listings[start:end]] >= days[start],
        )
        for start, end in pairwise([*starts, len(order)])
    ]


def strongest_kind(events: Events, first_day: int) -> tuple[EventKind, ...]:
    """The kind that says most of those that users have touched listings by since a day."""
    since = set(events.kinds[events.at >= first_day * DAY].tolist())
    for kind in STRONGEST:
        if kind_numbers([kind])[0] in since:
            return (kind,)
    return STRONGEST[:1]


def first_test_day(events: Events, share: float, days: int | None = None) -> int:
    """The first day of the test part: so many days, or that share of the span of all events."""
    last = int(events.at[-1]) // DAY
    if days is not None:
        return last - days + 1
    first = int(events.at[0]) // DAY
    return last + 1 - max(1, round((last + 1 - first) * share))
