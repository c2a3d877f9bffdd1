"""A catalogue in arrays that recommendations are made from."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.domain.recommendations.events import EventKind, Touch
from models.domain.searches.facts import ListingFacts
from models.recommending.sources import Together
from models.recommending.whitening import Whitening

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)

Rows = NDArray[np.float32]


def listing(number: int) -> UUID:
    return UUID(int=number)


def touch(number: int, kind: EventKind = EventKind.SAVED, days_ago: float = 1.0) -> Touch:
    return Touch(listing(number), kind, NOW - timedelta(days=days_ago))


@dataclass
class ArraySources:
    """Listings 0, 1, ... with a vector each; what others touched is stated as pairs and counts."""

    rows: Rows
    known: dict[UUID, ListingFacts]
    pairs: Sequence[Together] = ()
    map: Whitening | None = None
    gone: frozenset[UUID] = frozenset()
    asked: Counter[str] = field(default_factory=Counter)

    def vectors(self, listing_ids: Collection[UUID]) -> Mapping[UUID, Rows]:
        return {one: self.rows[one.int] for one in listing_ids if self.rows[one.int].any()}

    def whitening(self) -> Whitening | None:
        return self.map

    def facts(self, listing_ids: Collection[UUID]) -> Mapping[UUID, ListingFacts]:
        return {one: self.known[one] for one in listing_ids if one in self.known}

    def nearest(self, vectors: Rows, count: int) -> Sequence[Sequence[UUID]]:
        self.asked["nearest"] += len(vectors)
        order = np.argsort(-(vectors @ self.rows.T), axis=1, kind="stable")
        return [self._open(listing(int(row)) for row in rows)[:count] for rows in order]

    def together(self, listing_ids: Sequence[UUID], count: int) -> Sequence[Together]:
        asked = set(listing_ids)
        pairs = [one for one in self.pairs if one.beside in asked]
        return [one for one in pairs if one.listing_id not in self.gone][:count]

    def popular(self, count: int) -> Sequence[UUID]:
        counted = [one for one in self.known.values() if one.popularity]
        counted.sort(key=lambda one: (-(one.popularity or 0.0), one.number))
        return self._open(one.listing_id for one in counted)[:count]

    def fresh(self, count: int) -> Sequence[UUID]:
        newest = sorted(self.known.values(), key=lambda one: (one.created_at, one.number))
        return self._open(one.listing_id for one in reversed(newest))[:count]

    def _open(self, listing_ids: Iterable[UUID]) -> list[UUID]:
        return [one for one in listing_ids if one not in self.gone]


def sources(count: int, seed: int = 0, groups: int = 4) -> ArraySources:
    """A catalogue of `count` listings that look like one of `groups` things."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(groups, 16))
    rows = centres[np.arange(count) % groups] + 0.3 * rng.normal(size=(count, 16))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    known = {
        listing(number): ListingFacts(
            listing(number), number, NOW - timedelta(days=count - number), 10.0 + number, "GBP"
        )
        for number in range(count)
    }
    return ArraySources(rows, known)
