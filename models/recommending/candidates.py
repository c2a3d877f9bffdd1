"""What may be recommended to a user, from all sources, with all that is known of it. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.domain.recommendations.events import Touch
from models.domain.recommendations.options import RecommendOptions, SourceLimits
from models.domain.searches.facts import ListingFacts
from models.recommending.interests import Interest, Touched, interests_of, touched_listings
from models.recommending.sources import Sources, Together
from models.recommending.whitening import Whitening

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of a user, m touched listings, and of the page that they are on.

    `vectors` (m, dimension) are as the index has them, `look` (m, components) as they are compared;
    zeros where there is none, also for `page` and `page_look` (1, ...), which have no row without
    a page.
    """

    touched: Sequence[Touched]
    facts: Mapping[UUID, ListingFacts]
    vectors: Rows
    look: Rows
    interests: Sequence[Interest]
    page_id: UUID | None
    page: Rows
    page_look: Rows

    @property
    def weights(self) -> NDArray[np.float64]:
        """The weights (m,) of what was touched."""
        return np.array([one.weight for one in self.touched], np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The candidates, n of them in order of their ids.

    `look` (n, components) are their vectors as they are compared. `led` (n,) says which were found
    by an interest or beside something touched, the others being popular, new or like the page's.
    """

    facts: Sequence[ListingFacts]
    look: Rows
    together: Sequence[Together]
    led: NDArray[np.bool_]


def known_of(
    touches: Sequence[Touch],
    page_id: UUID | None,
    now: datetime,
    sources: Sources,
    options: RecommendOptions,
) -> Known:
    """What a user's touches say, by the vectors and facts that the sources have of them."""
    touched = touched_listings(touches, now, options.interests)
    asked = [one.listing_id for one in touched]
    vectors = sources.vectors(asked if page_id is None else [*asked, page_id])
    whitening = sources.whitening()
    rows = _rows(asked, vectors)
    look = _compared(rows, whitening)
    has_vector = np.flatnonzero(rows.any(axis=1)) if len(rows) else np.zeros(0, np.int64)
    weights = np.array([one.weight for one in touched], np.float64)
    clusters = interests_of(look[has_vector], weights[has_vector], options.interests)
    interests = [
        Interest(
            int(has_vector[one.medoid]),
            tuple(int(has_vector[row]) for row in one.members),
            one.weight,
        )
        for one in clusters
    ]
    page = _rows([] if page_id is None else [page_id], vectors)
    return Known(
        touched,
        sources.facts(asked),
        rows,
        look,
        interests[: options.interests.max_interests],
        page_id,
        page,
        _compared(page, whitening),
    )


def find_candidates(
    known: Known,
    excluded: Collection[UUID],
    shown: Collection[UUID],
    sources: Sources,
    limits: SourceLimits,
) -> Found:
    """All that may be recommended, and what was shown before, without what is excluded."""
    medoids = [one.medoid for one in known.interests]
    around = (
        np.concatenate([known.vectors[medoids], known.page[known.page.any(axis=1)]])
        if (len(known.page))
        else known.vectors[medoids]
    )
    neighbours = sources.nearest(around, limits.nearest_of_each(len(around))) if len(around) else []
    asked = [one.listing_id for one in known.touched]
    pairs = sources.together(asked, limits.together) if asked else []
    led = {listing_id for near in neighbours[: len(medoids)] for listing_id in near}
    led |= {pair.listing_id for pair in pairs}
    ids = led | {listing_id for near in neighbours[len(medoids) :] for listing_id in near}
    # Beside what an interest leads to, few of these come early.
    share = 2 if medoids else 1
    ids |= set(sources.popular(limits.popular // share))
    ids |= set(sources.fresh(limits.fresh // share))
    return _found((ids | set(shown)) - set(excluded), led, pairs, sources)


def candidates_shown(
    known: Known, listing_ids: Collection[UUID], sources: Sources, limits: SourceLimits
) -> Found:
    """Listings that were shown, as if they were all that may be recommended."""
    asked = [one.listing_id for one in known.touched]
    pairs = sources.together(asked, limits.together) if asked else []
    return _found(listing_ids, (), pairs, sources)


def _found(
    ids: Collection[UUID], led: Collection[UUID], pairs: Sequence[Together], sources: Sources
) -> Found:
    # By number, which is the order of ids: UUIDs compare each other in Python.
    listing_ids = sorted(ids, key=attrgetter("int"))
    facts = sources.facts(listing_ids)
    ordered_facts = [facts[listing_id] for listing_id in listing_ids if listing_id in facts]
    vectors = sources.vectors([one.listing_id for one in ordered_facts])
    rows = _rows([one.listing_id for one in ordered_facts], vectors)
    return Found(
        ordered_facts,
        _compared(rows, sources.whitening()),
        pairs,
        np.array([one.listing_id in led for one in ordered_facts], np.bool_),
    )


def _rows(listing_ids: Sequence[UUID], vectors: Mapping[UUID, Rows]) -> Rows:
    """A row for each listing, zeros where it has no vector; (n, 0) where none has one."""
    dimension = len(next(iter(vectors.values()))) if vectors else 0
    rows = np.zeros((len(listing_ids), dimension), np.float32)
    for row, listing_id in enumerate(listing_ids):
        if listing_id in vectors:
            rows[row] = vectors[listing_id]
    return rows


def _compared(rows: Rows, whitening: Whitening | None) -> Rows:
    """Vectors as they are compared; zeros stay zeros."""
    if whitening is None or not rows.any():
        return rows
    compared = whitening.apply(rows)
    compared[~rows.any(axis=1)] = 0
    return compared
