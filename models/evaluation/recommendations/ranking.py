"""What a recommender is asked in an evaluation, and what it answers. Pure."""

from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.evaluation.recommendations.events import (
    FIRST_TOUCH,
    SHOWN,
    Events,
    Grouped,
    Integers,
    Lifetimes,
    Mask,
)

TOP: Final = 20
"""How many recommendations are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A user as of a moment, in milliseconds.

    `history` are the positions of the user's events before it, oldest first, in the events of the
    replay. `candidates` (n,) says which listings may be recommended: those that were listed by then
    and that the user had not touched in any way.
    """

    user: int
    moment: int
    history: Integers
    candidates: Mask


class Recommender(Protocol):
    """Something that recommends."""

    def top(self, asked: Asked) -> Integers:
        """At most `TOP` of the candidates, best first."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """All events, and n listings; what is asked of it is as of a moment.

    `lifetimes` is None where all
    listings always were listed. `ties` (n,) is the order of
    listings with equal scores: drawn, since the order of rows may go with their age.
    """

    events: Events
    n: int
    lifetimes: Lifetimes | None = None
    seed: int = 0
    ties: Integers = field(init=False)
    of_user: Grouped = field(init=False)
    of_listing: Grouped = field(init=False)

    def __post_init__(self) -> None:
        events = self.events
        users = int(events.users.max(initial=-1)) + 1
        ties = np.random.default_rng(self.seed).permutation(self.n)
        object.__setattr__(self, "ties", ties)
        object.__setattr__(self, "of_user", Grouped(events.users, events.at, users))
        object.__setattr__(self, "of_listing", Grouped(events.listings, events.at, self.n))

    def listed(self, moment: int) -> Mask:
        """Which listings (n,) were listed before a moment."""
        return np.ones(self.n, np.bool_) if self.lifetimes is None else self.lifetimes.at(moment)

    def asked(self, user: int, moment: int) -> Asked:
        """What is known of a user before a moment."""
        history = self.of_user.before(user, moment)
        candidates = self.listed(moment)
        touched = history[self.events.kinds[history] != SHOWN]
        candidates[self.events.listings[touched]] = False
        return Asked(user, moment, touched, candidates)

    def liked(self, asked: Asked) -> tuple[Integers, Integers]:
        """The listings (h,) that a user has touched other than by hiding, and when, oldest first.

        A listing is there as often as it was touched.
        """
        liked = asked.history[self.events.kinds[asked.history] >= FIRST_TOUCH]
        return self.events.listings[liked], self.events.at[liked]

    def best(self, scores: NDArray[np.floating], candidates: Mask, count: int = TOP) -> Integers:
        """The candidates (at most `count`) with the highest scores (n,), best first.

        One whose score is minus infinity is none.
        """
        rows = np.flatnonzero(candidates & (scores > -np.inf))
        values = scores[rows]
        if len(rows) > count:
            least = np.partition(values, len(rows) - count)[len(rows) - count]
            # All of those as good as the last one: ties are not left to the partition.
            kept = values >= least
            rows, values = rows[kept], values[kept]
        return rows[np.lexsort((self.ties[rows], -values))][:count]
