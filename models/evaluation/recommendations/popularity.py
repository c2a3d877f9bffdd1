"""Popularity as of a moment, by the rules by which the database counts it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import logsumexp

from models.domain.recommendations.events import EventKind
from models.evaluation.recommendations.events import (
    KINDS,
    Floats,
    Grouped,
    Integers,
)
from models.evaluation.recommendations.ranking import Replay

_LN2: Final = float(np.log(2))


@dataclass(frozen=True, slots=True)
class PopularityRules:
    """How popularity is counted, see `db.events.popularity`.

    Of the `newest` touches of a listing, each user counts by the one that weighs most, `weights` by
    kind, halved every `half_ms`; a listing that fewer than `floor` users touched has none.
    """

    floor: int
    half_ms: float
    newest: int
    weights: Mapping[EventKind, float]


class PopularityAsOf:
    """How popular each listing was before a moment.

    It is counted again only for listings that were touched since the last moment that was asked
    for: so moments had better go on.
    """

    def __init__(self, replay: Replay, rules: PopularityRules) -> None:
        touches = replay.events.touches
        self._touches = touches
        self._rules = rules
        self._of_listing = Grouped(touches.listings, touches.at, replay.n)
        logs = np.log2([rules.weights.get(kind, 1.0) for kind in KINDS])
        self._powers = logs[touches.kinds] + touches.at / rules.half_ms
        self._scores = np.full(replay.n, -np.inf)
        self._counted = 0

    def scores(self, moment: int) -> Floats:
        """The binary logarithms (n,) of what is counted, as of 1970; minus infinity for none."""
        end = int(np.searchsorted(self._touches.at, moment))
        if end < self._counted:
            self._scores[:] = -np.inf
            self._counted = 0
        for listing in np.unique(self._touches.listings[self._counted : end]).tolist():
            self._scores[listing] = self._score(listing, moment)
        self._counted = end
        return self._scores

    def values(self, listings: Integers, moment: int) -> Floats:
        """What is counted of these listings, as of the moment; 0 for those that have none."""
        counted: Floats = np.exp2(self.scores(moment)[listings] - moment / self._rules.half_ms)
        return counted

    def _score(self, listing: int, moment: int) -> float:
        newest = self._of_listing.before(listing, moment)[-self._rules.newest :]
        users, user = np.unique(self._touches.users[newest], return_inverse=True)
        if len(users) < self._rules.floor:
            return float("-inf")
        best = np.full(len(users), -np.inf)
        np.maximum.at(best, user, self._powers[newest])
        return float(logsumexp(best * _LN2) / _LN2)
