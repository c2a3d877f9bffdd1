"""The product's own recommendations, made of arrays as of a moment. Pure.

The same function recommends as in the workers; only what it reads comes from arrays instead of
database and index: neighbours are exact, popularity and co-occurrence are of events before.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.domain.recommendations.events import Touch
from models.domain.recommendations.options import RecommendOptions
from models.domain.searches.facts import ListingFacts
from models.evaluation.recommendations.events import (
    FIRST_TOUCH,
    KINDS,
    SHOWN,
    Integers,
    Mask,
)
from models.evaluation.recommendations.popularity import PopularityAsOf
from models.evaluation.recommendations.ranking import TOP, Asked, Replay
from models.evaluation.recommendations.similarity import Similarities
from models.evaluation.recommendations.together import TogetherAsOf
from models.recommending.recommend import Request, recommend
from models.recommending.sources import Together
from models.recommending.whitening import MAX_SAMPLE, Whitening

_SEED: Final = 0


@dataclass(frozen=True, slots=True, eq=False)
class ArrayCatalogue:
    """All that recommendations are made of: n listings, and what is known of them.

    `facts` (n,) are in order of the catalogue's rows, with no popularity in them. `whitening` was
    fitted to what was listed before the first target.
    """

    replay: Replay
    similarities: Similarities
    popularity: PopularityAsOf
    together: TogetherAsOf
    facts: Sequence[ListingFacts]
    rows: Mapping[UUID, int]
    whitening: Whitening | None


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """How many of a user's newest touches, and impressions, are read."""

    touches: int
    impressions: int


def whitening_of(similarities: Similarities, listed: Mask) -> Whitening | None:
    """The map for vectors, by a sample of the listings (n,) that were `listed` by then."""
    known = np.flatnonzero(listed)
    known = known[similarities.has_vector(known)]
    if len(known) > MAX_SAMPLE:
        known = np.sort(np.random.default_rng(_SEED).choice(known, MAX_SAMPLE, replace=False))
    return Whitening.fit(similarities.vectors_of(known))


class ArraySources:
    """The sources of one recommendation: `models.recommending.sources.Sources`."""

    def __init__(self, catalogue: ArrayCatalogue, asked: Asked, listed: Mask) -> None:
        self._catalogue = catalogue
        self._asked = asked
        self._listed = listed

    def vectors(self, listing_ids: Collection[UUID]) -> Mapping[UUID, NDArray[np.float32]]:
        """Of their first photos."""
        similarities = self._catalogue.similarities
        rows = self._rows(listing_ids)
        rows = rows[similarities.has_vector(rows)]
        ids = [self._id(row) for row in rows.tolist()]
        return dict(zip(ids, similarities.vectors_of(rows), strict=True))

    def whitening(self) -> Whitening | None:
        """The map that vectors are compared by."""
        return self._catalogue.whitening

    def facts(self, listing_ids: Collection[UUID]) -> Mapping[UUID, ListingFacts]:
        """As they are now, but for popularity."""
        rows = self._rows(listing_ids)
        values = self._catalogue.popularity.values(rows, self._asked.moment)
        facts = self._catalogue.facts
        return {
            facts[row].listing_id: facts[row]._replace(popularity=value) if value else facts[row]
            for row, value in zip(rows.tolist(), values.tolist(), strict=True)
        }

    def nearest(self, vectors: NDArray[np.float32], count: int) -> Sequence[Sequence[UUID]]:
        """By their most similar photo."""
        similarities = self._catalogue.similarities.rows(vectors)
        return [self._best(row, self._listed, count) for row in similarities]

    def together(self, listing_ids: Sequence[UUID], count: int) -> Sequence[Together]:
        """What others touched beside the first of these."""
        together = self._catalogue.together
        asked = self._rows(listing_ids[: together.beside])
        pairs = together.pairs(asked, self._asked.moment, self._asked.user, count)
        return [
            Together(self._id(pair.listing), self._id(pair.other), pair.users)
            for pair in pairs
            if self._listed[pair.other]
        ]

    def popular(self, count: int) -> Sequence[UUID]:
        """By their popularity as of the moment."""
        scores = self._catalogue.popularity.scores(self._asked.moment)
        known = np.flatnonzero(self._listed & (scores > -np.inf))
        best = known[np.lexsort((-known, -scores[known]))][:count]
        return [self._id(row) for row in best.tolist()]

    def fresh(self, count: int) -> Sequence[UUID]:
        """None where it is not known when listings were listed."""
        lifetimes = self._catalogue.replay.lifetimes
        if lifetimes is None:
            return []
        known = np.flatnonzero(self._listed)
        newest = known[np.lexsort((-known, -lifetimes.listed_at[known]))][:count]
        return [self._id(row) for row in newest.tolist()]

    def _best(self, similarity: NDArray[np.float32], allowed: Mask, count: int) -> list[UUID]:
        known = np.where(similarity > -1, similarity, -np.inf)
        best = self._catalogue.replay.best(known, allowed, count)
        return [self._id(row) for row in best.tolist()]

    def _rows(self, listing_ids: Collection[UUID]) -> Integers:
        rows = self._catalogue.rows
        return np.array([rows[one] for one in listing_ids if one in rows], np.int64)

    def _id(self, row: int) -> UUID:
        return self._catalogue.facts[row].listing_id


class Recommendations:
    """What the product recommends, with these options."""

    def __init__(
        self, catalogue: ArrayCatalogue, options: RecommendOptions, limits: HistoryLimits
    ) -> None:
        self._catalogue = catalogue
        self._options = options
        self._limits = limits

    def top(self, asked: Asked) -> Integers:
        """See `Recommender`."""
        request, sources = self.asked_for(asked)
        best = islice(recommend(request, sources, self._options), TOP)
        return np.array([self._catalogue.rows[one.listing_id] for one in best], np.int64)

    def asked_for(self, asked: Asked) -> tuple[Request, ArraySources]:
        """What is asked for, and what it is made from, as of the moment."""
        replay = self._catalogue.replay
        listed = replay.listed(asked.moment)
        touched = np.flatnonzero(listed & ~asked.candidates)
        request = Request(
            now=_time(asked.moment),
            touches=self._touches(asked),
            exclude=frozenset(self._id(row) for row in touched.tolist()),
        )
        return request, ArraySources(self._catalogue, asked, listed)

    def _touches(self, asked: Asked) -> list[Touch]:
        """The newest touches and impressions, and all that was hidden."""
        events = self._catalogue.replay.events
        history = self._catalogue.replay.of_user.before(asked.user, asked.moment)
        kinds = events.kinds[history]
        kept = np.concatenate(
            [
                history[kinds < SHOWN],
                history[kinds == SHOWN][-self._limits.impressions :],
                history[kinds >= FIRST_TOUCH][-self._limits.touches :],
            ]
        )
        return [
            Touch(self._id(listing), KINDS[kind], _time(at))
            for listing, kind, at in zip(
                events.listings[kept].tolist(),
                events.kinds[kept].tolist(),
                events.at[kept].tolist(),
                strict=True,
            )
        ]

    def _id(self, row: int) -> UUID:
        return self._catalogue.facts[row].listing_id


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
