"""Drawn events, and the recommenders that are asked about them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np

from models.domain.recommendations.events import EventKind
from models.domain.recommendations.options import RecommendOptions
from models.domain.searches.facts import ListingFacts
from models.evaluation.recommendations.baselines import (
    MeanVector,
    NearestToAny,
    NearestToLast,
    Popularity,
)
from models.evaluation.recommendations.events import DAY, KINDS, Events, Integers, Lifetimes
from models.evaluation.recommendations.item_to_item import ItemToItem
from models.evaluation.recommendations.popularity import PopularityAsOf, PopularityRules
from models.evaluation.recommendations.ranking import Recommender, Replay
from models.evaluation.recommendations.similarity import Similarities
from models.evaluation.recommendations.sources import (
    ArrayCatalogue,
    HistoryLimits,
    Recommendations,
    whitening_of,
)
from models.evaluation.recommendations.together import TogetherAsOf, TogetherRules
from workers.evaluation.catalogue import StoredCatalogue

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SOLD: Final = (EventKind.PURCHASED,)

FEW_POPULAR: Final = PopularityRules(2, 7 * DAY, 6, dict.fromkeys(KINDS, 1.0))
FEW_TOGETHER: Final = TogetherRules(2, 5, 4, 3)


class Did(NamedTuple):
    """What a user did with a listing, on a day (since 1970) and a part of it."""

    user: int
    listing: int
    day: float
    kind: EventKind = EventKind.PURCHASED


def events_of(done: Sequence[Did]) -> Events:
    """The events, in whichever order they are given."""
    return Events.ordered(
        np.array([one.user for one in done], np.int64),
        np.array([one.listing for one in done], np.int64),
        np.array([KINDS.index(one.kind) for one in done], np.int64),
        np.array([round(one.day * DAY) for one in done], np.int64),
    )


def vectors_of(count: int, seed: int = 0, dimension: int = 8) -> Similarities:
    """Drawn unit vectors, of one photo for each listing."""
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Similarities(rows, np.arange(count), count)


def listing(row: int) -> UUID:
    return UUID(int=row + 1)


def array_catalogue(
    replay: Replay,
    similarities: Similarities,
    popularity: PopularityRules = FEW_POPULAR,
    together: TogetherRules = FEW_TOGETHER,
    created_at: Integers | None = None,
) -> ArrayCatalogue:
    """What recommendations are made of, with bounds that few events reach."""
    at = np.zeros(replay.n, np.int64) if created_at is None else created_at
    facts = [
        ListingFacts(listing(row), row + 1, EPOCH + timedelta(milliseconds=int(at[row])))
        for row in range(replay.n)
    ]
    return ArrayCatalogue(
        replay,
        similarities,
        PopularityAsOf(
            replay, popularity or PopularityRules(2, 7 * DAY, 6, dict.fromkeys(KINDS, 1.0))
        ),
        TogetherAsOf(replay, together or TogetherRules(2, 5, 4, 3)),
        facts,
        {one.listing_id: row for row, one in enumerate(facts)},
        whitening_of(similarities, replay.listed(0)),
    )


def recommenders_of(
    done: Sequence[Did], listings: int, lifetimes: Lifetimes | None = None, first_day: int = 10
) -> tuple[Replay, dict[str, Recommender]]:
    """All that an evaluation compares, over these events."""
    replay = Replay(events_of(done), listings, lifetimes)
    similarities = vectors_of(listings)
    popular = Popularity(replay, SOLD)
    return replay, {
        "recommendations": Recommendations(
            array_catalogue(
                replay, similarities, created_at=None if lifetimes is None else lifetimes.listed_at
            ),
            RecommendOptions(),
            HistoryLimits(6, 3),
        ),
        "popularity": popular,
        "last": NearestToLast(replay, similarities),
        "mean": MeanVector(replay, similarities),
        "any": NearestToAny(replay, similarities),
        "any and popularity": NearestToAny(replay, similarities, popular),
        "item to item": ItemToItem(replay, first_day * DAY),
    }


def bare_catalogue(
    count: int, names: Sequence[str] | None = None, first: int = 1
) -> StoredCatalogue:
    """Listings with the numbers from `first` on, of which nothing else is known."""
    ids = [UUID(int=number) for number in range(first, first + count)]
    return StoredCatalogue(
        [ListingFacts(one, one.int, EPOCH) for one in ids],
        names or [str(one) for one in ids],
        Lifetimes(np.zeros(count, np.int64), np.zeros(count, np.int64)),
        Similarities(np.zeros((0, 2), np.float32), np.zeros(0, np.int64), count),
        "hog",
    )
