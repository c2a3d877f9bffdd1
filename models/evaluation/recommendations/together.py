"""Co-occurrence as of a moment, by the rules by which the database is read. Pure."""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.evaluation.recommendations.events import Grouped, Integers
from models.evaluation.recommendations.ranking import Replay


@dataclass(frozen=True, slots=True)
class TogetherRules:
    """How co-occurrence is read, see `db.events.together`.

    Of each listing the users of its newest `of_listing` touches, of each of these the newest
    `of_user` touches; what fewer than `floor` distinct users have in common is nothing. It is asked
    beside `beside` listings at most.
    """

    floor: int
    of_listing: int
    of_user: int
    beside: int


class Pair(NamedTuple):
    """A listing, row `other`, that so many users have touched who have touched `listing`."""

    listing: int
    other: int
    users: int


class TogetherAsOf:
    """What was touched by those who touched a listing, before a moment."""

    def __init__(self, replay: Replay, rules: TogetherRules) -> None:
        touches = replay.events.touches
        users = int(touches.users.max(initial=-1)) + 1
        self._touches = touches
        self._rules = rules
        self._of_listing = Grouped(touches.listings, touches.at, replay.n)
        self._of_user = Grouped(touches.users, touches.at, users)

    @property
    def beside(self) -> int:
        """Beside how many listings others are looked for."""
        return self._rules.beside

    def pairs(self, listings: Integers, moment: int, besides: int, count: int) -> list[Pair]:
        """The listings most often touched together with these, most users first, `count` at most.

        The user `besides`, who asks, is not counted.
        """
        found: list[Pair] = []
        kept: dict[int, list[int]] = {}
        for listing in np.unique(listings).tolist():
            users: Counter[int] = Counter()
            for user in self._users_of(listing, moment, besides):
                if user not in kept:
                    kept[user] = self._listings_of(user, moment)
                users.update(kept[user])
            del users[listing]
            found += [
                Pair(listing, other, number)
                for other, number in users.items()
                if number >= self._rules.floor
            ]
        found.sort(key=lambda pair: (-pair.users, pair.other, pair.listing))
        return found[:count]

    def _users_of(self, listing: int, moment: int, besides: int) -> list[int]:
        newest = self._of_listing.before(listing, moment)[-self._rules.of_listing :]
        return [user for user in set(self._touches.users[newest].tolist()) if user != besides]

    def _listings_of(self, user: int, moment: int) -> list[int]:
        newest = self._of_user.before(user, moment)[-self._rules.of_user :]
        return list(set(self._touches.listings[newest].tolist()))
