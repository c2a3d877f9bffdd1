"""What users did, as arrays, and what was known of it at some moment. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.recommendations.events import EventKind

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

KINDS: Final = (
    EventKind.HIDDEN,
    EventKind.IMPRESSION,
    EventKind.VIEWED,
    EventKind.SAVED,
    EventKind.CONTACTED,
    EventKind.PURCHASED,
)
"""The kind that each number in `Events.kinds` stands for."""

HIDDEN: Final = KINDS.index(EventKind.HIDDEN)
SHOWN: Final = KINDS.index(EventKind.IMPRESSION)
FIRST_TOUCH: Final = KINDS.index(EventKind.VIEWED)
"""From this number on, kinds show an interest."""

DAY: Final = 86_400_000
"""In milliseconds, as all times are here."""


def kind_numbers(kinds: Collection[EventKind]) -> Integers:
    """The numbers of kinds, in order."""
    return np.array(sorted(KINDS.index(kind) for kind in kinds), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """m events, oldest first; of one moment in order of user, kind and listing, as in the database.

    `users` (m,) are numbers from 0, `listings` (m,) rows of the catalogue, `kinds` (m,) numbers of
    `KINDS`, and `at` (m,) milliseconds since 1970, UTC.
    """

    users: Integers
    listings: Integers
    kinds: Integers
    at: Integers

    def __len__(self) -> int:
        return len(self.at)

    @classmethod
    def ordered(
        cls, users: Integers, listings: Integers, kinds: Integers, at: Integers
    ) -> "Events":
        """Events that are in any order."""
        order = np.lexsort((listings, kinds, users, at))
        return cls(users[order], listings[order], kinds[order], at[order])

    def where(self, kept: Mask) -> "Events":
        """Those of the events."""
        return Events(self.users[kept], self.listings[kept], self.kinds[kept], self.at[kept])

    def before(self, moment: int) -> "Events":
        """The events strictly before a moment, without a copy."""
        return self._part(0, int(np.searchsorted(self.at, moment)))

    def since(self, moment: int) -> "Events":
        """The events from a moment on, without a copy."""
        return self._part(int(np.searchsorted(self.at, moment)), len(self))

    def _part(self, start: int, end: int) -> "Events":
        part = slice(start, end)
        return Events(self.users[part], self.listings[part], self.kinds[part], self.at[part])

    @property
    def touches(self) -> "Events":
        """Those that show an interest."""
        return self.where(self.kinds >= FIRST_TOUCH)

    def of(self, kinds: Collection[EventKind]) -> "Events":
        """The events of these kinds."""
        return self.where(np.isin(self.kinds, kind_numbers(kinds)))


class Grouped:
    """Which events each user, or each listing, has, oldest first."""

    def __init__(self, keys: Integers, at: Integers, groups: int) -> None:
        self._order = np.argsort(keys, kind="stable")
        self._starts = np.searchsorted(keys[self._order], np.arange(groups + 1))
        self._at = at

    def before(self, group: int, moment: int) -> Integers:
        """The positions of a group's events strictly before a moment."""
        positions = self._order[self._starts[group] : self._starts[group + 1]]
        return positions[: np.searchsorted(self._at[positions], moment)]


@dataclass(frozen=True, slots=True, eq=False)
class Lifetimes:
    """When each of n listings was listed, and when that ended, (n,) each, in milliseconds.

    What was not known to end has an end that no moment reaches.
    """

    listed_at: Integers
    ended_at: Integers

    def at(self, moment: int) -> Mask:
        """Which listings (n,) were listed before a moment and had not ended by then."""
        return (self.listed_at < moment) & (self.ended_at >= moment)

    def of(self, listings: Integers, moments: Integers) -> Mask:
        """Whether each of these listings (k,) was listed at its moment (k,)."""
        return (self.listed_at[listings] < moments) & (self.ended_at[listings] >= moments)
