"""Whatever a user did, and whenever: what is excluded is in no page, and nothing comes twice."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.catalogue.listings import ListingData
from models.domain.filters import ListingFilter
from models.domain.job_results.recommendations import RecommendationResult
from models.domain.recommendations.events import EventKind
from models.domain.recommendations.options import NEVER_AGAIN
from models.domain.types import ListingStatus
from tests.support.recommended import Shop, around, shown, without_times
from tests.support.workers import WorkerHarness

LISTINGS: Final = 24
SELLERS: Final = 4
SOLD: Final = {3, 11}
TWINS: Final = {5: 6, 17: 18}
"""Listings that show the same photo."""
CHEAP: Final = ListingFilter(price_max=Decimal(20))
# On PostgreSQL a statement takes three times as long.
EXAMPLES: Final = {"sqlite": 25, "postgresql": 6}

NUMBERS = st.integers(1, LISTINGS)
KINDS = st.sampled_from(EventKind)
HISTORIES = st.lists(st.tuples(KINDS, NUMBERS, st.integers(0, 170)), max_size=12)


def listing(number: int, **stated: object) -> ListingData:
    given_ = {
        "category": f"Root {number % 3} / Leaf {number % 5}",
        "price": Decimal(number * 2),
        "currency": "GBP",
        "seller": f"seller {number % SELLERS}" if number % 5 else None,
        "status": ListingStatus.SOLD if number in SOLD else ListingStatus.ACTIVE,
        **stated,
    }
    return ListingData(UUID(int=number), f"Thing {number}", **given_)  # type: ignore[arg-type]


@pytest.fixture
def shop(worker: WorkerHarness) -> Shop:
    stocked = Shop(worker)
    stocked.put(*(listing(number) for number in range(1, LISTINGS + 1)))
    directions = list(np.eye(worker.encoder.spec.dimension, dtype=np.float32)[:4])
    vectors = around(directions, LISTINGS // 4, 0.08)
    of_photos = dict(enumerate(vectors, start=1))
    photos = {twin: one for one, twin in TWINS.items()}
    stocked.show({one: of_photos[photos.get(one, one)] for one in of_photos}, photos)
    return stocked


@dataclass
class Visit:
    """Pages that a user is shown, and what must not be in them."""

    shop: Shop
    user: str
    asked: dict[str, object]
    seen: set[int] = field(default_factory=set)
    never: set[int] = field(default_factory=set)

    def did(self, kind: EventKind, number: int, days_ago: float) -> None:
        self.shop.did(self.user, kind, number, days_ago=days_ago)
        if kind in NEVER_AGAIN:
            self.never.add(number)
        else:
            self.seen.add(number)

    @property
    def excluded(self) -> set[int]:
        """All that may not be in a page that is asked for now."""
        excluded = self.never | {one.int for one in self.asked.get("exclude", ())}  # type: ignore[attr-defined]
        for number, one in self.shop.listings.items():
            if one.status is not ListingStatus.ACTIVE or one.seller == self.user:
                excluded.add(number)
            if self.asked.get("filter") and (one.price or 0) > 20:
                excluded.add(number)
        if self.asked.get("exclude_seen"):
            excluded |= self.seen
        page = self.asked.get("listing_id")
        if isinstance(page, UUID):
            excluded.add(page.int)
            excluded |= {twin for pair in TWINS.items() for twin in pair if page.int in pair}
        return excluded

    def page(self, limit: int, cursor: str | None) -> RecommendationResult:
        return self.shop.ask(self.user, limit=limit, cursor=cursor, **self.asked)


REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "exclude": st.lists(NUMBERS.map(lambda one: UUID(int=one)), max_size=4),
        "exclude_seen": st.booleans(),
        "filter": st.just(CHEAP),
        "listing_id": NUMBERS.map(lambda one: UUID(int=one)),
    },
)


def test_excluded_things_are_in_no_page(shop: Shop) -> None:
    @settings(
        max_examples=EXAMPLES[shop.worker.database.engine.dialect.name],
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        history=HISTORIES,
        asked=REQUESTS,
        is_seller=st.booleans(),
        limit=st.integers(1, 6),
        between=st.lists(st.tuples(KINDS, NUMBERS) | NUMBERS, max_size=6),
    )
    def never(
        history: list[tuple[EventKind, int, int]],
        asked: dict[str, object],
        is_seller: bool,
        limit: int,
        between: list[tuple[EventKind, int] | int],
    ) -> None:
        user = f"seller {len(history) % SELLERS}" if is_seller else f"user {uuid4()}"
        visit = Visit(shop, user, asked)
        for kind_, number, days_ago in history:
            visit.did(kind_, number, days_ago)
        try:
            walk(visit, limit, list(between))
        finally:
            shop.forget(user)
            shop.put(*(listing(number) for number in range(1, LISTINGS + 1)))

    never()


def walk(visit: Visit, limit: int, between: list[tuple[EventKind, int] | int]) -> None:
    """Go through all pages; after each, something happens: an event, or a listing is sold."""
    whole = visit.page(100, None)
    assert without_times(visit.page(100, None)) == without_times(whole)
    assert visit.excluded.isdisjoint(shown(whole))
    left, cursor, pages = shown(whole), None, 0
    while True:
        page = visit.page(limit, cursor)
        pages += 1
        gone = visit.excluded
        assert gone.isdisjoint(shown(page))
        # The rest of the first page's order, without what is excluded since.
        left = [one for one in left if one not in gone]
        assert shown(page) == left[:limit]
        left = left[limit:]
        cursor = page.next_cursor
        if cursor is None:
            break
        if between:
            happens(visit, between.pop())
    assert [one for one in left if one not in visit.excluded] == []
    assert pages <= LISTINGS + 1


def happens(visit: Visit, what: tuple[EventKind, int] | int) -> None:
    if isinstance(what, tuple):
        visit.did(what[0], what[1], 0)
    else:
        sold = replace(visit.shop.listings[what], status=ListingStatus.SOLD)
        visit.shop.put(sold)
