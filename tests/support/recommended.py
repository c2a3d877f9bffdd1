"""A worker with a small drawn catalogue, users who do things with it, and what they are shown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray

from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, upsert_listings
from db.events.forget import forget_events
from db.events.store import NewEvent, store_events
from db.events.users import user_key
from db.jobs.claiming import Claim
from db.vectors.embeddings import add_embeddings
from models.domain.job_payloads import RecommendationPayload
from models.domain.job_results.recommendations import RecommendationResult
from models.domain.recommendations.events import EventKind
from models.domain.recommendations.options import DEFAULT_WEIGHTS
from models.domain.searches.options import Ranking
from models.domain.types import JobType
from tests.support.workers import WorkerHarness
from workers.jobs.queries import QueryTools, answer_queries
from workers.search.active_engine import SearchEngine

Vectors = NDArray[np.float32]
RANKING = Ranking(DEFAULT_WEIGHTS, half_days=14.0)


@dataclass
class Shop:
    """Listings by number, each with one photo whose vector is given, and events by users' names."""

    worker: WorkerHarness
    listings: dict[int, ListingData] = field(default_factory=dict)
    engine: SearchEngine | None = None
    """What answers, if not the worker's own."""
    _events: Iterator[int] = field(default_factory=count)

    @property
    def now(self) -> datetime:
        moment: datetime = self.worker.now()
        return moment

    def put(self, *listings: ListingData, age_days: float = 0) -> None:
        """Write listings as they are now stated."""
        with self.worker.database.write() as session:
            upsert_listings(session, listings, self.now - timedelta(days=age_days))
        self.listings |= {one.id.int: one for one in listings}

    def show(self, vectors: dict[int, Vectors], photos: dict[int, int] | None = None) -> None:
        """Give listings a photo each, whose number is theirs unless stated, with its vector."""
        photos = photos or {}
        hashes = {number: f"{photos.get(number, number):064x}" for number in vectors}
        with self.worker.database.write() as session:
            ids = ensure_photos(
                session, [PhotoData(one, 3, 4) for one in dict.fromkeys(hashes.values())], self.now
            )
            set_photos(session, {UUID(int=number): [ids[hashes[number]]] for number in vectors})
            embedded = {ids[hashes[number]]: vector for number, vector in vectors.items()}
            add_embeddings(session, self.worker.encoder_id, embedded)

    def did(self, user: str, kind: EventKind, number: int, *, days_ago: float = 1.0) -> None:
        """Store that a user did something with a listing."""
        at = self.now - timedelta(days=days_ago)
        new = NewEvent(f"{next(self._events)} {uuid4()}", user, kind, UUID(int=number), at)
        with self.worker.database.write() as session:
            stored = store_events(session, [new], self.now)
        assert stored.stored == 1, stored

    def forget(self, user: str) -> None:
        """Forget a user, as the API does."""
        with self.worker.database.write() as session:
            forget_events(session, user_key(session, user))

    def key(self, user: str) -> str:
        """The key of a user, as payloads have it."""
        with self.worker.database.read() as session:
            return user_key(session, user).hex()

    def ask(self, user: str | None = None, **stated: Any) -> RecommendationResult:
        """What a worker answers; of what is not stated, the defaults."""
        key = None if user is None else self.key(user)
        payload = RecommendationPayload(**{"user": key, "rank": RANKING, "limit": 100, **stated})
        claim = Claim(uuid4(), JobType.RECOMMENDATION, 1, 1, payload.to_json(), self.now)
        runtime = self.worker.runtime
        tools = QueryTools(
            runtime.database,
            runtime.store,
            runtime.config.models_dir,
            self.worker.now,
            runtime.columns,
            runtime.whitenings,
        )
        engine = self.engine or self.worker.engine.current()
        ((_, answer),) = answer_queries([claim], engine, tools).answers
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, RecommendationResult)
        return answer

    def numbers(self, user: str | None = None, **stated: Any) -> list[int]:
        """The numbers of the listings that are recommended."""
        return shown(self.ask(user, **stated))


def shown(result: RecommendationResult) -> list[int]:
    """The numbers of the listings of a page."""
    return [one.listing_id.int for one in result.results]


def without_times(result: RecommendationResult) -> RecommendationResult:
    """An answer but for how long it took, and for the cursor, which has the id of its job."""
    return result.model_copy(update={"took_ms": {}, "next_cursor": None})


def around(directions: Sequence[Vectors], each: int, spread: float, seed: int = 0) -> list[Vectors]:
    """Unit vectors, `each` of them near each of the directions."""
    rng = np.random.default_rng(seed)
    vectors = [
        direction + spread * rng.standard_normal(len(direction)).astype(np.float32)
        for direction in directions
        for _ in range(each)
    ]
    return [(one / np.linalg.norm(one)).astype(np.float32) for one in vectors]
