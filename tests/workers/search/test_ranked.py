"""Ranked pages: whatever a search asks for, they are one order, cut into pieces."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from db.catalogue.filters import listings_showing
from db.catalogue.listings import ListingData
from db.session import Database
from models.domain.searches.block_cursors import BlockCursor, TextMatch
from models.domain.searches.options import (
    Diversity,
    FusionMethod,
    Place,
    Ranking,
    RankPart,
    RankWeights,
)
from models.ranking.order import NO_DIVERSITY
from tests.support.stock import NOW, Stock, Vectors, listing, unit
from workers.search.blocks import Asked, Look
from workers.search.ranked import Position, RankedPage, RankOptions, ranked_page
from workers.search.results import Found

DIRECTIONS = [unit(1, 0, 0), unit(0, 1, 0), unit(1, 1, 0), unit(1, 0.2, 0), unit(1, 1, 1)]
SEARCH = UUID(int=99)
EVERYTHING = 100


@dataclass(frozen=True)
class GivenWords:
    """Words that listings are said to have, with a score; those of the best `looked_at` are known
    at once."""

    scores: Mapping[UUID, float]
    looked_at: int = EVERYTHING
    unwanted: Collection[UUID] = ()

    @property
    def best(self) -> dict[UUID, TextMatch]:
        found = [(one, TextMatch(one.int, score)) for one, score in self.scores.items()]
        found.sort(key=lambda hit: hit[1].place)
        return dict(found[: self.looked_at])

    @property
    def exact(self) -> bool:
        return len(self.scores) <= self.looked_at

    def of(self, listing_ids: Collection[UUID]) -> dict[UUID, float]:
        return {one: self.scores[one] for one in listing_ids if one in self.scores}

    def excluded(self, listing_ids: Collection[UUID]) -> set[UUID]:
        return {one for one in listing_ids if one in self.unwanted}


@dataclass
class Search:
    """A search, as far as its pages go; what is not there any more has no words."""

    stock: Stock
    options: RankOptions
    scores: dict[UUID, float] | None = None
    query: Vectors | None = field(default_factory=lambda: unit(1, 0, 0))
    size: int = EVERYTHING
    looked_at: int = EVERYTHING

    def page(self, limit: int, position: Position | None = None) -> RankedPage:
        with self.stock.database.read() as session:
            asked = self._asked(session)
            vectors = self.stock.index.vectors
            return ranked_page(
                asked, self.options, limit, position or Position(), lambda _: vectors
            )

    def _asked(self, session: Session) -> Asked:
        look = None if self.query is None else Look(self.stock.index, [self.query])
        words = None
        if self.scores is not None:
            shown = listings_showing(session, list(self.stock.index.vectors))
            live = {one for listing_ids in shown.values() for one in listing_ids}
            scores = {one: score for one, score in self.scores.items() if one in live}
            words = GivenWords(scores, self.looked_at)
        return Asked(session, look, words, size=self.size)

    def pages(self, limit: int) -> Iterator[RankedPage]:
        """All of them, each from a cursor that was read again."""
        page = self.page(limit)
        yield page
        while page.rest is not None:
            cursor = BlockCursor(SEARCH, "f", NOW, page.rest.block, page.rest.shown)
            read = BlockCursor.decode(cursor.encode())
            assert read == cursor
            page = self.page(limit, Position(read.block, read.shown))
            yield page


def numbers(found: Sequence[Found]) -> list[int]:
    return [one.listing_id.int for one in found]


def all_of(search: Search) -> list[int]:
    return numbers(search.page(EVERYTHING).listings)


def plain(**stated: object) -> RankOptions:
    return RankOptions(NOW, **stated)  # type: ignore[arg-type]


def weighing(**weights: float) -> RankOptions:
    return plain(ranking=Ranking(RankWeights(**weights), popularity="views"))


# --- what counts ---


def test_by_similarity_alone_it_is_the_order_of_a_plain_search(any_database: Database) -> None:
    stock = Stock.of(
        any_database, DIRECTIONS, {listing(number): [number] for number in range(1, 6)}
    )
    search = Search(stock, plain())
    assert all_of(search) == [1, 4, 3, 5, 2]
    (first, *_) = search.page(1).listings
    assert first == Found(UUID(int=1), 1, 1.0, 1.0, {RankPart.SIMILARITY: 1.0})


def test_words_lift_what_look_alone_would_not_have_fetched(any_database: Database) -> None:
    stock = Stock.of(
        any_database, DIRECTIONS, {listing(number): [number] for number in range(1, 6)}
    )
    search = Search(stock, plain(), {UUID(int=2): 1.0, UUID(int=5): 0.5}, size=1)
    for fusion in FusionMethod:
        search.options = plain(fusion=fusion, ranking=Ranking(RankWeights(text=2)))
        assert all_of(search)[:3] == [2, 5, 1]
        assert sorted(all_of(search)) == [1, 2, 3, 4, 5]


def test_words_alone_need_no_look(any_database: Database) -> None:
    stock = Stock.of(
        any_database, DIRECTIONS, {listing(number): [number, 1] for number in range(1, 6)}
    )
    search = Search(stock, plain(), {UUID(int=2): 0.3, UUID(int=5): 0.5}, query=None)
    found = search.page(5).listings
    assert numbers(found) == [5, 2]
    assert found[0] == Found(UUID(int=5), 5, None, 0.5, {RankPart.TEXT: 0.5})


def test_what_is_not_embedded_is_found_by_its_words(any_database: Database) -> None:
    stock = Stock.of(any_database, DIRECTIONS[:2], {listing(1): [1], listing(2): [2]})
    del stock.index.vectors[2]
    search = Search(stock, plain(), {UUID(int=2): 1.0})
    stock.index.vectors[3] = stock.index.vectors[1]
    assert 2 not in all_of(Search(stock, plain()))
    stock.index.vectors[2] = unit(0, 1, 0)
    assert 2 in all_of(search)


def test_the_price_of_the_listing_searched_with_is_wanted(any_database: Database) -> None:
    twins = {
        listing(1, price=Decimal(90), currency="GBP"): [1],
        listing(2, price=Decimal(12), currency="GBP"): [1],
        listing(3, price=Decimal(10), currency="EUR"): [1],
        listing(4): [1],
        listing(5, price=Decimal(10), currency="GBP"): [2],
    }
    stock = Stock.of(any_database, DIRECTIONS, twins)
    options = weighing(price=1)
    assert all_of(Search(stock, replace(options, liked=[UUID(int=5)])))[:2] == [2, 1]
    assert all_of(Search(stock, options))[:4] == [1, 2, 3, 4]


def test_near_dear_fresh_and_popular_count_as_stated(any_database: Database) -> None:
    stock = Stock.of(
        any_database,
        DIRECTIONS,
        {
            listing(1): [1],
            listing(2, latitude=53.8, longitude=-1.55): [1],
            listing(3, attributes={"views": 100}): [1],
            listing(4, price=Decimal(11), currency="GBP"): [1],
        },
    )
    options = plain(
        ranking=Ranking(
            RankWeights(distance=0.1, popularity=0.1, price=0.1),
            Decimal(10),
            "GBP",
            "views",
        ),
        origin=Place(53.8, -1.55),
    )
    assert all_of(Search(stock, options)) == [2, 4, 3, 1]


def test_a_category_is_wanted_as_often_as_the_best_have_it(any_database: Database) -> None:
    some = {listing(n, category="Home / Lamps" if n < 4 else "Toys"): [1] for n in range(2, 6)}
    stock = Stock.of(any_database, DIRECTIONS, {listing(1, category="Toys"): [1], **some})
    search = Search(stock, weighing(category=0.5))
    found = search.page(5).listings
    assert numbers(found) == [1, 4, 5, 2, 3]
    assert found[0].reasons is not None
    assert found[0].reasons[RankPart.CATEGORY] == pytest.approx(3 / 5)


def test_only_what_is_similar_enough(any_database: Database) -> None:
    stock = Stock.of(
        any_database, DIRECTIONS, {listing(number): [number] for number in range(1, 6)}
    )
    search = Search(stock, plain(), {UUID(int=2): 1.0, UUID(int=4): 0.1}, size=1)
    with any_database.read() as session:
        asked = replace(search._asked(session), min_similarity=0.9)
        found = ranked_page(asked, search.options, 5, Position(), lambda _: {})
    assert numbers(found.listings) == [4, 1]
    assert found.rest is None


# --- any catalogue, any ranking, any page size ---

SELLERS = [None, "Ann", "Bob"]
WEIGHTS = st.builds(
    RankWeights,
    similarity=st.sampled_from([0.0, 1.0]),
    text=st.sampled_from([0.5, 1.0]),
    price=st.sampled_from([0.0, 0.5]),
    category=st.sampled_from([0.0, 0.5]),
    seller=st.sampled_from([0.0, 0.5]),
)
OPTIONS = st.builds(
    RankOptions,
    st.just(NOW),
    st.builds(Ranking, WEIGHTS, st.just(Decimal(7))),
    st.sampled_from(FusionMethod),
    st.builds(Diversity, st.sampled_from([0.0, 0.4]), st.sampled_from([None, 1]))
    | st.just(NO_DIVERSITY),
)
STATES = settings(
    max_examples=40,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    derandomize=True,
    database=None,
)


@st.composite
def listings(draw: st.DrawFn, first: int = 1, most: int = 12) -> dict[ListingData, list[int]]:
    """Listings that show some of nine photos."""
    photos = st.lists(st.integers(1, 9), min_size=1, max_size=2, unique=True)
    albums = draw(st.lists(photos, min_size=1, max_size=most))
    return {
        listing(
            number,
            seller=draw(st.sampled_from(SELLERS)),
            category=draw(st.sampled_from([None, "Home", "Home / Lamps"])),
            price=draw(st.sampled_from([None, Decimal(5), Decimal(10)])),
        ): album
        for number, album in enumerate(albums, start=first)
    }


@contextmanager
def stocked(
    migrated_sqlite: Path, vectors: Sequence[Vectors], catalogue: dict[ListingData, list[int]]
) -> Iterator[Stock]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "marketlens.db"
        path.write_bytes(migrated_sqlite.read_bytes())
        database = Database(f"sqlite:///{path}")
        yield Stock.of(database, vectors, catalogue)
        database.close()


VECTORS = st.lists(st.sampled_from(DIRECTIONS), min_size=9, max_size=9)
SCORES = st.dictionaries(
    st.integers(1, 16).map(lambda number: UUID(int=number)), st.sampled_from([0.2, 0.6, 1.0])
)


@st.composite
def searches(draw: st.DrawFn, stock: Stock) -> Search:
    scores = draw(st.none() | SCORES)
    by_look = scores is None or draw(st.booleans())
    return Search(
        stock,
        draw(OPTIONS),
        scores,
        unit(1, 0.1, 0) if by_look else None,
        size=draw(st.integers(1, 5)),
        looked_at=draw(st.sampled_from([2, EVERYTHING])),
    )


@STATES
@given(listings(), VECTORS, st.integers(1, 5), st.data())
def test_pages_together_are_the_order_without_pages(
    migrated_sqlite: Path,
    catalogue: dict[ListingData, list[int]],
    vectors: list[Vectors],
    limit: int,
    data: st.DataObject,
) -> None:
    with stocked(migrated_sqlite, vectors, catalogue) as stock:
        search = data.draw(searches(stock))
        whole = search.page(EVERYTHING).listings
        pages = list(search.pages(limit))
    assert [one for page in pages for one in page.listings] == whole
    assert all(len(page.listings) == limit for page in pages[:-1])
    assert not whole or pages[-1].listings
    expected = {one.id for one in catalogue}
    if search.query is None:
        expected &= set(GivenWords(search.scores or {}, EVERYTHING).best)
        if search.looked_at < EVERYTHING:
            expected &= {one.listing_id for one in whole}
    assert {one.listing_id for one in whole} == expected
    assert len(whole) == len(expected)


@STATES
@given(listings(), VECTORS, st.integers(1, 4), st.data())
def test_pages_neither_repeat_nor_lose_though_listings_come_and_go(
    migrated_sqlite: Path,
    catalogue: dict[ListingData, list[int]],
    vectors: list[Vectors],
    limit: int,
    data: st.DataObject,
) -> None:
    with stocked(migrated_sqlite, vectors, catalogue) as stock:
        search = replace(data.draw(searches(stock)), looked_at=EVERYTHING)
        findable = {one.id for one in catalogue}
        if search.query is None:
            findable &= set(search.scores or {})
        seen: list[UUID] = []
        gone: set[UUID] = set()
        number = 13
        for page in search.pages(limit):
            seen += [one.listing_id for one in page.listings]
            for listing_id in data.draw(st.sets(st.sampled_from(sorted(findable | {SEARCH})))):
                if listing_id != SEARCH and listing_id not in gone:
                    gone.add(listing_id)
                    stock.delete(listing_id)
            stock.put(data.draw(listings(number, 2)))
            number = 13 + (number - 12) % 4
    assert len(seen) == len(set(seen))
    assert findable - gone <= set(seen)


@STATES
@given(listings(), VECTORS, st.data())
def test_a_block_of_all_is_in_order_of_score(
    migrated_sqlite: Path,
    catalogue: dict[ListingData, list[int]],
    vectors: list[Vectors],
    data: st.DataObject,
) -> None:
    with stocked(migrated_sqlite, vectors, catalogue) as stock:
        search = replace(data.draw(searches(stock)), size=EVERYTHING)
        search.options = replace(search.options, diversity=NO_DIVERSITY)
        whole = search.page(EVERYTHING).listings
    scores = [one.score or 0 for one in whole]
    if not search.options.ranking.weights.seller:
        assert scores == sorted(scores, reverse=True)
    weights = search.options.ranking.weights
    for one in whole:
        reasons = one.reasons or {}
        total = sum(weights.of(part) for part in reasons) or 1
        mean = sum(weights.of(part) * value for part, value in reasons.items()) / total
        assert one.score == pytest.approx(mean)


@STATES
@given(listings(most=8), VECTORS, st.data())
def test_a_better_twin_is_found_above(
    migrated_sqlite: Path,
    catalogue: dict[ListingData, list[int]],
    vectors: list[Vectors],
    data: st.DataObject,
) -> None:
    """A twin has the same photos, words and seller; it is nearer, and of the wanted price."""
    original = data.draw(st.sampled_from(sorted(catalogue, key=lambda one: one.id)))
    twin_id = UUID(int=data.draw(st.sampled_from([0, 20])))
    twin = replace(original, id=twin_id, price=Decimal(7), latitude=1.0, longitude=1.0)
    with stocked(migrated_sqlite, vectors, catalogue) as stock:
        stock.put({twin: catalogue[original]})
        search = replace(data.draw(searches(stock)), size=EVERYTHING)
        weights = replace(search.options.ranking.weights, distance=0.5, freshness=0.2)
        search.options = replace(
            search.options,
            ranking=replace(search.options.ranking, weights=weights),
            origin=Place(1.0, 1.5),
            now=NOW + timedelta(days=3),
        )
        if search.scores is not None and original.id in search.scores:
            search.scores[twin_id] = search.scores[original.id]
        found = all_of(search)
    if original.id.int in found:
        assert found.index(twin_id.int) < found.index(original.id.int)


def test_a_block_keeps_its_ends_whatever_comes_in(any_database: Database) -> None:
    """What is nearer than its last grows it, and moves nothing that was shown into the next."""
    stock = Stock.of(
        any_database,
        DIRECTIONS,
        {listing(1): [1], listing(2, price=Decimal(7)): [3], listing(3): [2]},
    )
    options = plain(ranking=Ranking(RankWeights(price=5), Decimal(7)))
    for scores in (None, {UUID(int=number): 0.5 for number in range(1, 20)}):
        search = Search(stock, options, scores, size=2)
        pages = search.pages(1)
        assert numbers(next(pages).listings) == [2]
        stock.put({listing(number): [4] for number in range(10, 19)})
        rest = [number for page in pages for number in numbers(page.listings)]
        assert rest == [1, *range(10, 19), 3]
        for number in range(10, 19):
            stock.delete(UUID(int=number))


def test_equal_vectors_are_equally_alike_in_any_number() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((37, 1_283)).astype(np.float32)
    vectors[::3] = vectors[0]
    alike = np.vecdot(vectors, vectors[0])
    assert len(set(alike[::3].tolist())) == 1
