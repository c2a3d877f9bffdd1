"""Index and filter together: the pages of a search against brute force over what passes."""

from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.catalogue.columns import columns_of
from db.catalogue.listings import ListingData
from db.session import Database
from models.domain.filters import ListingFilter
from models.domain.types import ListingMatch, ListingStatus
from models.ranking.relevance_feedback import fuse
from tests.support.stock import Stock, Vectors, listing, unit
from workers.search.catalogues import listings_passing
from workers.search.retrieval import ANY_ACTIVE, Page, Retrieved, Thresholds, retrieve


def page_of(stock: Stock, query: Vectors, limit: int, **options: object) -> Retrieved:
    names = {field.name for field in fields(Thresholds)} & options.keys()
    thresholds = Thresholds(**{name: options.pop(name) for name in names})  # type: ignore[arg-type]
    page = Page(limit, **options)  # type: ignore[arg-type]
    with stock.database.read() as session:
        return retrieve(session, stock.index, [query], page, thresholds)


def numbers(page: Retrieved) -> list[int]:
    return [match.listing_id.int for match in page.listings]


def fan(count: int) -> list[Vectors]:
    """Vectors ever further from the first."""
    return [unit(1, step / count, 0) for step in range(count)]


def sellers(count: int) -> dict[ListingData, list[int]]:
    """Listings 1, 2, ... of one photo each; every tenth is by Ann, the others are by Bob."""
    return {
        listing(number, seller="Bob" if number % 10 else "Ann"): [number]
        for number in range(1, count + 1)
    }


NOT_BOB = ListingFilter(exclude_seller="Bob")


def test_few_that_pass_are_each_compared(any_database: Database) -> None:
    stock = Stock.of(any_database, fan(60), sellers(60))
    stock.index.exact = False
    page = page_of(stock, unit(1, 0, 0), 3, wanted=NOT_BOB)
    assert (numbers(page), page.more, page.exact) == ([10, 20, 30], True, True)
    assert set(stock.index.asked) == {"among"}


def test_of_some_that_pass_the_index_is_told(any_database: Database) -> None:
    stock = Stock.of(any_database, fan(60), sellers(60))
    stock.index.exact = False
    page = page_of(stock, unit(1, 0, 0), 3, wanted=NOT_BOB, exact_up_to=5)
    assert (numbers(page), page.more, page.exact) == ([10, 20, 30], True, False)
    assert set(stock.index.asked) == {"only"}


def test_an_index_that_misses_nothing_is_told_even_of_few(any_database: Database) -> None:
    stock = Stock.of(any_database, fan(60), sellers(60))
    page = page_of(stock, unit(1, 0, 0), 3, wanted=NOT_BOB)
    assert (numbers(page), page.more, page.exact) == ([10, 20, 30], True, True)
    assert set(stock.index.asked) == {"only"}


def test_many_that_pass_are_looked_for_until_there_are_enough(any_database: Database) -> None:
    stock = Stock.of(any_database, fan(60), sellers(60))
    stock.index.exact = False
    page = page_of(stock, unit(1, 0, 0), 3, wanted=NOT_BOB, select_up_to=5)
    assert (numbers(page), page.more, page.exact) == ([10, 20, 30], True, False)
    assert stock.index.asked == ["matches"]


def test_when_most_do_not_pass_the_index_is_told_which_do(any_database: Database) -> None:
    stock = Stock.of(any_database, fan(60), sellers(60))
    page = page_of(stock, unit(1, 0, 0), 3, wanted=NOT_BOB, select_up_to=5, overfetch=15)
    assert (numbers(page), page.more, page.exact) == ([10, 20, 30], True, True)
    assert stock.index.asked == ["matches", "only"]


def test_active_listings_behind_many_sold_ones_are_found(any_database: Database) -> None:
    listings = {
        listing(number, status=ListingStatus.ACTIVE if number > 58 else ListingStatus.SOLD): [
            number
        ]
        for number in range(1, 61)
    }
    stock = Stock.of(any_database, fan(60), listings)
    page = page_of(stock, unit(1, 0, 0), 5, overfetch=20)
    assert (numbers(page), page.more) == ([59, 60], False)
    assert stock.index.asked == ["matches", "only"]


def test_a_filter_that_nothing_passes_finds_nothing(any_database: Database) -> None:
    stock = Stock.of(any_database, fan(5), sellers(5))
    wanted = ListingFilter(category="Unheard / Of")
    page = page_of(stock, unit(1, 0, 0), 3, wanted=wanted)
    assert (page.listings, page.more, page.exact) == ([], False, True)
    assert page_of(stock, unit(1, 0, 0), 3, wanted=wanted, select_up_to=-1).listings == []


def test_pages_hold_though_listings_come_and_go_between_them(any_database: Database) -> None:
    stock = Stock.of(any_database, [*fan(6), unit(1, 0.01, 0)], sellers(6))
    query = unit(1, 0, 0)
    first = page_of(stock, query, 2)
    assert numbers(first) == [1, 2]
    stock.delete(UUID(int=1))
    stock.delete(UUID(int=2))  # the very one that the next page follows
    stock.put({listing(9): [7]})  # would have been on the first page
    second = page_of(stock, query, 2, after=first.listings[-1])
    assert (numbers(second), second.more) == ([3, 4], True)
    third = page_of(stock, query, 2, after=second.listings[-1])
    assert (numbers(third), third.more) == ([5, 6], False)


def test_rounding_of_the_query_repeats_nothing_that_shares_a_photo(any_database: Database) -> None:
    shared = {listing(number): [1] for number in range(1, 6)}
    stock = Stock.of(any_database, fan(3), shared | {listing(8): [2]})
    first = page_of(stock, unit(1, 0.5, 0), 3)
    assert numbers(first) == [8, 1, 2]
    # The same photo, embedded again with others.
    for nudge in (-1e-6, 1e-6):
        second = page_of(stock, unit(1, 0.5 + nudge, 0), 9, after=first.listings[-1])
        assert numbers(second) == [3, 4, 5]


def test_of_several_queries_the_nearest_counts(any_database: Database) -> None:
    vectors = [unit(1, 0.1, 0), unit(0, 1, 0), unit(0, 0, 1)]
    stock = Stock.of(any_database, vectors, {listing(number): [number] for number in (1, 2, 3)})
    with any_database.read() as session:
        found = retrieve(session, stock.index, [unit(1, 0, 0), unit(0, 1, 0)], Page(3)).listings
    assert [match.listing_id.int for match in found] == [2, 1, 3]
    assert [round(match.similarity, 3) for match in found] == [1.0, 0.995, 0.0]


def test_equals_come_in_order_whichever_query_found_them(any_database: Database) -> None:
    vectors = [unit(0, 1, 0), unit(1, 0, 0)]
    stock = Stock.of(any_database, vectors, {listing(1): [1], listing(2): [2]})
    with any_database.read() as session:
        found = retrieve(session, stock.index, [unit(1, 0, 0), unit(0, 1, 0)], Page(2)).listings
    assert [match.photo_id for match in found] == [1, 2]


def test_what_several_queries_find_is_looked_at_once(any_database: Database) -> None:
    stock = Stock.of(any_database, fan(60), sellers(60))
    queries = [unit(1, 0, 0)] * 3
    with any_database.read() as session:
        thresholds = Thresholds(select_up_to=5, overfetch=45)
        retrieve(session, stock.index, queries, Page(3, wanted=NOT_BOB), thresholds)
    assert set(stock.index.asked) == {"matches"}


# --- any catalogue, any question, any page size ---

DIRECTIONS = [unit(1, 0, 0), unit(0, 1, 0), unit(0, 0, 1), unit(1, 1, 0), unit(1, 1, 1)]
CATEGORIES = [None, "Home", "Home / Lamps", "Homes"]
STATUSES = [ListingStatus.ACTIVE, ListingStatus.SOLD, ListingStatus.RESERVED]


@st.composite
def listings(draw: st.DrawFn) -> dict[ListingData, list[int]]:
    """Up to fourteen listings that show some of nine photos."""
    photos = st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True)
    albums = draw(st.lists(photos, min_size=1, max_size=14))
    return {
        listing(
            number,
            seller=draw(st.sampled_from([None, "Ann", "Bob"])),
            category=draw(st.sampled_from(CATEGORIES)),
            price=draw(st.sampled_from([None, Decimal(5), Decimal(10)])),
            status=draw(st.sampled_from([*STATUSES[:1] * 3, *STATUSES])),
        ): album
        for number, album in enumerate(albums, start=1)
    }


FILTERS = st.builds(
    ListingFilter,
    category=st.sampled_from(CATEGORIES),
    price_max=st.sampled_from([None, Decimal(5), Decimal(10)]),
    exclude_seller=st.sampled_from([None, "Ann"]),
    status=st.sampled_from([(ListingStatus.ACTIVE,), tuple(STATUSES[:2])]),
)


def passes(item: ListingData, wanted: ListingFilter) -> bool:
    under = item.category == wanted.category or (item.category or "").startswith(
        f"{wanted.category} / "
    )
    return (
        item.status in wanted.status
        and (wanted.category is None or under)
        and (
            wanted.price_max is None or (item.price is not None and item.price <= wanted.price_max)
        )
        and (wanted.exclude_seller is None or item.seller != wanted.exclude_seller)
    )


def brute_force(
    stock: dict[ListingData, list[int]], vectors: Sequence[Vectors], queries: Vectors
) -> list[ListingMatch]:
    """Every listing by its best photo, in order."""
    best = []
    for item, album in stock.items():
        found = [
            ListingMatch(
                item.id,
                photo,
                max(float(np.vecdot(vectors[photo - 1], query)) for query in queries),
            )
            for photo in album
        ]
        best.append(min(found, key=lambda match: match.place))
    return sorted(best, key=lambda match: match.place)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    listings(),
    st.lists(st.sampled_from(DIRECTIONS), min_size=9, max_size=9),
    FILTERS,
    st.lists(st.lists(st.sampled_from(DIRECTIONS), min_size=1, max_size=2), min_size=1, max_size=2),
    st.lists(st.sampled_from(DIRECTIONS[:2]), max_size=2),
    st.sets(st.integers(1, 14), max_size=2),
    st.integers(1, 5),
    st.booleans(),
    st.sampled_from([-1, 4, 100]),
    st.sampled_from([-1, 4, 100]),
    st.sampled_from([1, 6, 100]),
    st.booleans(),
)
def test_all_pages_together_are_what_brute_force_finds(
    migrated_sqlite: Path,
    catalogue: dict[ListingData, list[int]],
    vectors: list[Vectors],
    wanted: ListingFilter,
    positives: list[list[Vectors]],
    negatives: list[Vectors],
    named: set[int],
    limit: int,
    exact: bool,
    exact_up_to: int,
    select_up_to: int,
    overfetch: int,
    by_columns: bool,
) -> None:
    queries = fuse([np.stack(thing) for thing in positives], [row[np.newaxis] for row in negatives])
    excluded = {UUID(int=number) for number in named}
    live = {
        item: album
        for item, album in catalogue.items()
        if item.id not in excluded and passes(item, wanted)
    }
    expected = brute_force(live, vectors, queries)

    with TemporaryDirectory() as folder:
        path = Path(folder) / "marketlens.db"
        path.write_bytes(migrated_sqlite.read_bytes())
        database = Database(f"sqlite:///{path}")
        stock = Stock.of(database, vectors, catalogue)
        stock.index.exact = exact
        pages: list[list[ListingMatch]] = []
        more = True
        while more:
            with database.read() as session:
                page = retrieve(
                    session,
                    stock.index,
                    queries,
                    Page(limit, pages[-1][-1] if pages else None, excluded, wanted),
                    Thresholds(exact_up_to, select_up_to, overfetch),
                    listings_passing(session, columns_of(session), wanted) if by_columns else None,
                )
            pages.append(page.listings)
            more = page.more
        database.close()

    assert list(chain(*pages)) == expected
    assert all(len(page) == limit for page in pages[:-1])
    assert not expected or pages[-1]


@pytest.mark.parametrize("wanted", [ANY_ACTIVE, NOT_BOB])
def test_a_page_of_any_size_follows_any_other(
    any_database: Database, wanted: ListingFilter
) -> None:
    stock = Stock.of(any_database, fan(40), sellers(40))
    query = unit(1, 0, 0)
    whole = page_of(stock, query, 40, wanted=wanted).listings
    for end in range(1, len(whole)):
        rest = page_of(stock, query, 40, wanted=wanted, after=whole[end - 1])
        assert rest.listings == whole[end:]
