"""Simple recommenders that others are compared with, each of a few lines on purpose. Pure.

How strong they are: Ferrari Dacrema, Cremonesi and Jannach, "Are We Really Making Much Progress?",
RecSys 2019.
"""

from collections.abc import Collection
from typing import Final

import numpy as np

from models.domain.recommendations.events import EventKind
from models.evaluation.recommendations.events import DAY, Events, Floats, Integers
from models.evaluation.recommendations.ranking import Asked, Replay
from models.evaluation.recommendations.similarity import Similarities

POPULARITY_DAYS: Final = 30
HALF_DAYS: Final = 60.0
"""After so many days, the likeness to what was touched counts by half."""
POPULARITY_WEIGHT: Final = 0.05


class Popularity:
    """The listings that were touched most in the last 30 days, by the kinds that count.

    Of those touched equally often, as most are where listings are sold once, the last comes first.
    """

    def __init__(self, replay: Replay, kinds: Collection[EventKind]) -> None:
        self._replay = replay
        self._events = replay.events.of(kinds)

    def top(self, asked: Asked) -> Integers:
        """See `Recommender`."""
        recent = self._recent(asked.moment)
        # In [0, 1): less than one touch more.
        newness = 1 - (asked.moment - recent.at) / (POPULARITY_DAYS * DAY + 1)
        newest = np.zeros(self._replay.n)
        np.maximum.at(newest, recent.listings, newness)
        return self._replay.best(self.counts(asked.moment) + newest, asked.candidates)

    def counts(self, moment: int) -> Floats:
        """How often each listing (n,) was touched in the 30 days before a moment."""
        listings = self._recent(moment).listings
        return np.bincount(listings, minlength=self._replay.n).astype(np.float64)

    def _recent(self, moment: int) -> Events:
        return self._events.before(moment).since(moment - POPULARITY_DAYS * DAY)


class NearestToLast:
    """The listings that look most like the one that was touched last."""

    def __init__(self, replay: Replay, similarities: Similarities) -> None:
        self._replay = replay
        self._similarities = similarities

    def top(self, asked: Asked) -> Integers:
        """See `Recommender`."""
        listings, _ = _seen(self._replay, self._similarities, asked)
        if not len(listings):
            return listings
        last = self._similarities.vectors_of(listings[-1:])
        return self._replay.best(self._similarities.rows(last)[0], asked.candidates)


class MeanVector:
    """The listings that look most like the mean of all that was touched."""

    def __init__(self, replay: Replay, similarities: Similarities) -> None:
        self._replay = replay
        self._similarities = similarities

    def top(self, asked: Asked) -> Integers:
        """See `Recommender`."""
        listings, _ = _seen(self._replay, self._similarities, asked)
        if not len(listings):
            return listings
        mean = self._similarities.vectors_of(listings).mean(axis=0, keepdims=True)
        return self._replay.best(self._similarities.product(mean)[0], asked.candidates)


class NearestToAny:
    """The listings that look most like any that was touched, discounted by how long ago that was.

    With `popularity`, 0.05 times the logarithm of 1 and its count is added to the cosine.
    """

    def __init__(
        self, replay: Replay, similarities: Similarities, popularity: Popularity | None = None
    ) -> None:
        self._replay = replay
        self._similarities = similarities
        self._popularity = popularity

    def top(self, asked: Asked) -> Integers:
        """See `Recommender`."""
        listings, at = _seen(self._replay, self._similarities, asked)
        if not len(listings):
            return listings
        discounts = np.exp2(-(asked.moment - at) / (DAY * HALF_DAYS)).astype(np.float32)
        scores = np.full(self._replay.n, -np.inf, np.float32)
        for part, similarity in self._similarities.blocks(listings):
            np.maximum(scores, (similarity * discounts[part, None]).max(axis=0), out=scores)
        if self._popularity is None:
            return self._replay.best(scores, asked.candidates)
        popular = np.log1p(self._popularity.counts(asked.moment))
        return self._replay.best(scores + POPULARITY_WEIGHT * popular, asked.candidates)


def _seen(replay: Replay, similarities: Similarities, asked: Asked) -> tuple[Integers, Integers]:
    """What a user has touched that has a vector, and when last, in order of that."""
    listings, at = replay.liked(asked)
    # The last of each, in the order of those.
    _, last = np.unique(listings[::-1], return_index=True)
    kept = np.sort(len(listings) - 1 - last)
    kept = kept[similarities.has_vector(listings[kept])]
    return listings[kept], at[kept]
