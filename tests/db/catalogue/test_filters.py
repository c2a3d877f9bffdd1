"""Filters, on both databases: what passes is what a plain filter of the rows lets pass."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from math import atan2, cos, hypot, pi, radians, sin
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.orm import Session

from db.catalogue.columns import columns_of
from db.catalogue.filters import listings_showing, passing_each, photos_passing
from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, delete_listings, upsert_listings
from db.session import Database
from models.domain.filters import ListingFilter, Near
from models.domain.geo import RADIUS_KM
from models.domain.searches.attributes import (
    AttributeCondition,
    Attributes,
    AttributeValue,
    Scalar,
    clean_attributes,
)
from models.domain.types import ListingStatus
from tests.support.clock import Clock
from workers.search.catalogues import listings_passing

LAMP = ListingData(id=UUID(int=1), title="Lamp")

AT = datetime(2030, 1, 2, 3, 4, 5, 678)  # noqa: DTZ001 - the zone is added where it is used
LAST = datetime.max  # noqa: DTZ901 - the same
ONE_MICROSECOND = timedelta(microseconds=1)

CATEGORIES = ["a", "a / b", "a / bc", "a / b / c", "A / b", "a%", "a_ / b", "é / ü", "Ü"]
PRICES = [Decimal(text) for text in ("0.00", "0.01", "5.00", "9.99", "10.00", "999999999999.99")]
CURRENCIES = ["GBP", "EUR"]
SELLERS = ["sam", "Sam", "sam ", "ümit", "' OR 1=1 --"]
PLACES = [
    (90.0, 0.0), (90.0, 77.0), (-90.0, 0.0), (89.95, -120.0), (-89.95, 60.0),
    (0.0, 180.0), (0.0, -180.0), (12.0, 179.9), (12.0, -179.9), (66.0, 179.0), (66.0, -178.0),
    (0.0, 0.0), (0.0, 5e-324), (51.5, -0.1), (51.6, -0.1), (51.5, 0.1), (-51.5, 179.9),
]  # fmt: skip
RADII = [0.5, 12.0, 50.0, 300.0, 1_100.0, 5_000.0, 10_007.0, 10_008.0, 14_000.0, 20_015.0, 1e9]
ATTRIBUTES = ["size", "größe", "new"]
TEXTS = ["M", "m", "XL", "straße", "STRASSE", "1", "true", "' OR 1=1 --", "é"]
NUMBERS = [0, 1, -1, 1.5, 40, 1e15, -1e15, 0.1]
STATUSES = [ListingStatus.ACTIVE, ListingStatus.RESERVED, ListingStatus.SOLD]
EVERY_STATUS = tuple(STATUSES)


def drawn_listing(number: int, rng: Random) -> ListingData:
    priced = rng.random() < 0.8
    latitude, longitude = rng.choice([*PLACES, (None, None)])
    return ListingData(
        id=UUID(int=number),
        title="Lamp",
        category=rng.choice([*CATEGORIES, None]),
        price=rng.choice(PRICES) if priced else None,
        currency=rng.choice(CURRENCIES) if priced else None,
        latitude=latitude,
        longitude=longitude,
        seller=rng.choice([*SELLERS, None]),
        status=rng.choice(STATUSES),
        attributes=drawn_attributes(rng),
    )


def drawn_attributes(rng: Random) -> Attributes:
    stated: dict[str, AttributeValue] = {}
    for name in ATTRIBUTES:
        match rng.randrange(5):
            case 0:
                stated[name] = rng.choice(TEXTS)
            case 1:
                stated[name] = rng.choice(NUMBERS)
            case 2:
                stated[name] = rng.random() < 0.5
            case 3:
                stated[name] = rng.sample(TEXTS, rng.randint(1, 3))
    return clean_attributes(stated)


Shown = list[tuple[ListingData, list[int]]]


def put(database: Database, clock: Clock, listings: Sequence[ListingData]) -> Shown:
    """Store listings; number n shows the photos n and n + 1."""
    with database.write() as session:
        for hour in range(10):
            same = [item for item in listings if item.id.int % 10 == hour]
            upsert_listings(session, same, created_at(same[0]) if same else clock())
        hashes = [f"{number:064x}" for number in range(len(listings) + 1)]
        ids = ensure_photos(session, [PhotoData(sha256, 3, 4) for sha256 in hashes], clock())
        photos = [[ids[hashes[n]], ids[hashes[n + 1]]] for n in range(len(listings))]
        set_photos(session, {item.id: both for item, both in zip(listings, photos, strict=True)})
    return list(zip(listings, photos, strict=True))


def kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The distance by the angle of two vectors, which is exact at all distances."""
    (a, b, c), (d, e, f) = (
        (cos(lat) * cos(lon), cos(lat) * sin(lon), sin(lat))
        for lat, lon in ((radians(place[0]), radians(place[1])) for place in (one, other))
    )
    across = hypot(b * f - c * e, c * d - a * f, a * e - b * d)
    return RADIUS_KM * atan2(across, a * d + b * e + c * f)


def in_utc(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(tzinfo=UTC)


def created_at(item: ListingData) -> datetime:
    """When `put` has stored a listing."""
    return (AT + timedelta(hours=item.id.int % 10)).replace(tzinfo=UTC)


def is_near(item: ListingData, near: Near) -> bool:
    if item.latitude is None or item.longitude is None:
        return False
    distance = kilometres((near.latitude, near.longitude), (item.latitude, item.longitude))
    # Just on the circle, either answer is right.
    assume(abs(distance - near.km) > 1e-6)
    return distance <= near.km


def passes(item: ListingData, wanted: ListingFilter) -> bool:
    category = f"{item.category} / " if item.category else ""
    tests = [
        item.status in wanted.status,
        wanted.category is None or category.startswith(f"{wanted.category} / "),
        wanted.price_min is None or (item.price is not None and item.price >= wanted.price_min),
        wanted.price_max is None or (item.price is not None and item.price <= wanted.price_max),
        wanted.currency is None or item.currency == wanted.currency,
        wanted.near is None or is_near(item, wanted.near),
        wanted.exclude_seller is None or item.seller != wanted.exclude_seller,
        wanted.seller is None or item.seller == wanted.seller,
        wanted.created_after is None or created_at(item) > wanted.created_after,
        *(condition.is_met(item.attributes or {}) for condition in wanted.attributes),
    ]
    return all(tests)


def maybe(values: Iterable[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.sampled_from(list(values))


POINTS = st.sampled_from(PLACES) | st.tuples(st.floats(-90, 90), st.floats(-180, 180))
NEAR = st.builds(
    lambda place, km: Near(place[0], place[1], km),
    POINTS,
    st.sampled_from(RADII) | st.floats(0.001, 21_000),
)
CONDITIONS = st.builds(
    AttributeCondition,
    name=st.sampled_from([*ATTRIBUTES, "unheard"]),
    any_of=st.lists(
        st.sampled_from([*TEXTS, *NUMBERS, True, False, "nothing", 2, 1.0]), min_size=1, max_size=3
    ).map(tuple),
) | st.builds(
    AttributeCondition,
    name=st.sampled_from(ATTRIBUTES),
    at_least=maybe([*NUMBERS, 0.5]),
    at_most=maybe([*NUMBERS, 0.5]),
)
FILTERS = st.builds(
    ListingFilter,
    category=maybe([*CATEGORIES, "b", "a / ", "nowhere"]),
    price_min=maybe([*PRICES, Decimal("9.995")]),
    price_max=maybe([*PRICES, Decimal("9.995")]),
    currency=maybe([*CURRENCIES, "USD"]),
    near=st.none() | NEAR,
    exclude_seller=maybe([*SELLERS, "nobody"]),
    status=st.lists(st.sampled_from(STATUSES), min_size=1, unique=True).map(tuple),
    seller=st.none() | maybe([*SELLERS, "nobody"]),
    created_after=maybe([AT, AT - ONE_MICROSECOND, AT + timedelta(hours=5), LAST]).map(in_utc),
    attributes=st.lists(CONDITIONS, max_size=2).map(tuple),
)


def test_what_passes_is_what_a_plain_filter_of_the_rows_lets_pass(
    any_database: Database, clock: Clock
) -> None:
    rng = Random(7)
    shown = put(any_database, clock, [drawn_listing(number, rng) for number in range(1, 400)])
    with any_database.write() as session:
        gone = [item.id for item, _ in shown[::9]]
        delete_listings(session, gone, clock())
    there = [(item, photos) for item, photos in shown if item.id not in gone]
    every_listing = [item.id for item, _ in shown]
    active = {item.id for item, _ in there if item.status is ListingStatus.ACTIVE}
    every_photo = sorted({photo for _, photos in shown for photo in photos})
    with any_database.read() as session:
        columns = columns_of(session)

    @settings(max_examples=300, deadline=None, derandomize=True, database=None)
    @given(wanted=FILTERS, limit=st.sampled_from([0, 1, 2, 30, 10_000]))
    def check(wanted: ListingFilter, limit: int) -> None:
        passing = [(item.id, photos) for item, photos in there if passes(item, wanted)]
        by_photo: dict[int, list[UUID]] = {}
        for listing_id, photos in sorted(passing):
            for photo in photos:
                by_photo.setdefault(photo, []).append(listing_id)
        with any_database.read() as session:
            found = photos_passing(session, wanted, limit)
            assert listings_showing(session, every_photo, wanted) == by_photo
            columned = listings_passing(session, columns, wanted)
            both = passing_each(session, [wanted, ListingFilter()], every_listing)
        assert both[0] == {listing_id for listing_id, _ in passing}
        assert both[1] == active
        too_many = sum(map(len, by_photo.values())) > limit
        assert found == (None if too_many else sorted(by_photo))
        assert columned.photos().tolist() == sorted(by_photo)
        assert columned.listings_of(every_photo) == by_photo
        assert columned.listings == len(passing)

    check()


def found(database: Database, wanted: ListingFilter) -> list[int]:
    """The numbers of the listings that pass, which are stored with a photo each."""
    with database.read() as session:
        photos = photos_passing(session, wanted, 1_000)
        assert photos is not None
        shown = listings_showing(session, photos, wanted)
        by_columns = listings_passing(session, columns_of(session), wanted)
    assert by_columns.photos().tolist() == photos
    assert by_columns.listings_of(photos) == shown
    return sorted({listing_id.int for ids in shown.values() for listing_id in ids})


def test_a_category_is_itself_and_all_below_it_by_whole_names(
    any_database: Database, clock: Clock
) -> None:
    paths = ["a / b", "a / bc", "a / b / c", "A / b", "a", "x / a / b", None]
    put(
        any_database,
        clock,
        [replace(LAMP, id=UUID(int=n), category=path) for n, path in enumerate(paths)],
    )
    assert found(any_database, ListingFilter(category="a / b")) == [0, 2]
    assert found(any_database, ListingFilter(category="a")) == [0, 1, 2, 4]
    assert found(any_database, ListingFilter(category="b")) == []
    assert found(any_database, ListingFilter(category="%")) == []


def test_bounds_of_prices_are_met_exactly_and_by_no_listing_without_a_price(
    any_database: Database, clock: Clock
) -> None:
    prices = [("9.99", "GBP"), ("10.00", "GBP"), ("10.00", "EUR"), ("10.01", "GBP")]
    listings = [
        replace(LAMP, id=UUID(int=n), price=Decimal(price), currency=currency)
        for n, (price, currency) in enumerate(prices)
    ]
    put(any_database, clock, [*listings, replace(LAMP, id=UUID(int=99))])
    ten = Decimal(10)
    assert found(any_database, ListingFilter()) == [0, 1, 2, 3, 99]
    assert found(any_database, ListingFilter(price_min=Decimal(0))) == [0, 1, 2, 3]
    assert found(any_database, ListingFilter(price_min=ten, price_max=ten)) == [1, 2]
    assert found(any_database, ListingFilter(price_max=ten, currency="GBP")) == [0, 1]
    assert found(any_database, ListingFilter(price_min=ten, price_max=Decimal(9))) == []


@pytest.mark.parametrize(
    ("near", "expected"),
    [
        pytest.param(Near(0, 0, 111.2), [0, 1], id="a degree of longitude at the equator"),
        pytest.param(Near(0, 0, 111.1), [0], id="not quite a degree"),
        pytest.param(Near(60, 0, 56), [2, 3], id="a degree is shorter in the north"),
        pytest.param(Near(10, 179.9, 25), [4, 5], id="across the antimeridian, from the west"),
        pytest.param(Near(10, -179.9, 25), [4, 5], id="across the antimeridian, from the east"),
        pytest.param(Near(10, 180, 12), [4, 5], id="on the antimeridian"),
        pytest.param(Near(89.9, 0, 25), [6, 7], id="over the pole"),
        pytest.param(Near(90, 123, 12), [6, 7], id="at the pole"),
        pytest.param(Near(0, 0, 0), [0], id="no distance at all"),
        pytest.param(Near(0, 180, RADIUS_KM * pi), [*range(8)], id="half round the globe"),
        pytest.param(Near(0, 0, 1e300), [*range(8)], id="more than round the globe"),
    ],
)
def test_near_is_a_circle_on_the_globe(
    any_database: Database, clock: Clock, near: Near, expected: list[int]
) -> None:
    places = [(0, 0), (0, 1), (60, 0), (60, 1), (10, 179.9), (10, -179.9), (89.9, 0), (89.9, 180)]
    listings = [
        replace(LAMP, id=UUID(int=n), latitude=latitude, longitude=longitude)
        for n, (latitude, longitude) in enumerate(places)
    ]
    put(any_database, clock, [*listings, replace(LAMP, id=UUID(int=99))])
    assert found(any_database, ListingFilter(near=near)) == expected


def test_a_seller_is_left_out_but_no_listing_of_which_none_is_known(
    any_database: Database, clock: Clock
) -> None:
    sellers = ["sam", "Sam", None]
    put(
        any_database,
        clock,
        [replace(LAMP, id=UUID(int=n), seller=seller) for n, seller in enumerate(sellers)],
    )
    assert found(any_database, ListingFilter(exclude_seller="sam")) == [1, 2]


def test_a_seller_is_asked_for_as_it_is_written(any_database: Database, clock: Clock) -> None:
    sellers = ["sam", "Sam", None]
    put(
        any_database,
        clock,
        [replace(LAMP, id=UUID(int=n), seller=seller) for n, seller in enumerate(sellers)],
    )
    assert found(any_database, ListingFilter(seller="sam")) == [0]
    assert found(any_database, ListingFilter(seller="ann")) == []


def test_what_was_created_later_passes(any_database: Database, clock: Clock) -> None:
    put(any_database, clock, [replace(LAMP, id=UUID(int=n)) for n in range(3)])
    at = AT.replace(tzinfo=UTC)
    expected = {
        at - ONE_MICROSECOND: [0, 1, 2],
        at: [1, 2],
        at + timedelta(hours=1) - ONE_MICROSECOND: [1, 2],
        at + timedelta(hours=1): [2],
        (at + timedelta(hours=2)).astimezone(timezone(timedelta(hours=-7))): [],
        datetime.min.replace(tzinfo=UTC): [0, 1, 2],
        LAST.replace(tzinfo=UTC): [],
    }
    for moment, passing in expected.items():
        assert found(any_database, ListingFilter(created_after=moment)) == passing


def test_attributes_are_compared_without_case_and_by_type(
    any_database: Database, clock: Clock
) -> None:
    stated: list[Attributes] = [
        {"size": "Größe M"}, {"size": ["s", "GRÖSSE M"]}, {"size": 40}, {"size": "40"},
        {"size": True}, {"size": 40.5}, {},
    ]  # fmt: skip
    put(
        any_database,
        clock,
        [replace(LAMP, id=UUID(int=n), attributes=one) for n, one in enumerate(stated)],
    )

    def sized(*any_of: Scalar, **bounds: float) -> list[int]:
        condition = AttributeCondition("size", any_of, **bounds)
        return found(any_database, ListingFilter(attributes=(condition,)))

    assert sized("grösse m") == [0, 1]
    assert sized("grösse m", "S", 40) == [0, 1, 2]
    assert sized(40.0) == [2]
    assert sized("40") == [3]
    assert sized(True) == [4]
    assert sized(1, False) == []
    assert sized(at_least=40, at_most=40) == [2]
    assert sized(at_least=40.1) == [5]
    assert sized() == [2, 5]


def test_a_search_finds_active_listings_unless_it_asks_for_others(
    any_database: Database, clock: Clock
) -> None:
    listings = [replace(LAMP, id=UUID(int=n), status=s) for n, s in enumerate(STATUSES)]
    put(any_database, clock, [*listings, replace(LAMP, id=UUID(int=99))])
    with any_database.write() as session:
        delete_listings(session, [UUID(int=99)], clock())
    assert found(any_database, ListingFilter()) == [0]
    assert found(any_database, ListingFilter(status=(ListingStatus.SOLD,))) == [2]
    assert found(any_database, ListingFilter(status=EVERY_STATUS)) == [0, 1, 2]


def test_up_to_the_limit_all_are_given_and_beyond_it_none(
    any_database: Database, clock: Clock
) -> None:
    put(any_database, clock, [replace(LAMP, id=UUID(int=n)) for n in range(1, 4)])
    with any_database.read() as session:
        everything = photos_passing(session, ListingFilter(), 6)
        assert everything is not None
        assert len(everything) == 4
        assert photos_passing(session, ListingFilter(), 5) is None


def plan_of(database: Database, ask: Callable[[Session], object]) -> list[str]:
    """How SQLite goes about the last statement of what is asked."""
    asked: list[tuple[str, Any]] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def _remember(_: Any, cursor: Any, statement: str, values: Any, *rest: Any) -> None:
        del cursor, rest
        asked.append((statement, values))

    with database.read() as session:
        ask(session)
    statement, values = asked[-1]
    with database.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        return [row.detail for row in plan]


NARROW = [
    ListingFilter(category="a"),
    ListingFilter(category="a", price_min=Decimal(1), currency="GBP", exclude_seller="sam"),
    ListingFilter(price_max=Decimal(9)),
    ListingFilter(near=Near(51.5, -0.1, 10)),
    ListingFilter(exclude_seller="sam"),
    ListingFilter(status=(ListingStatus.SOLD,)),
]


@pytest.mark.parametrize("wanted", NARROW)
def test_filters_are_answered_from_indexes_without_sorting(
    database: Database, clock: Clock, wanted: ListingFilter
) -> None:
    put(database, clock, [replace(LAMP, category="a")])
    steps = plan_of(database, lambda session: photos_passing(session, wanted, 10))
    assert any("listings USING COVERING INDEX ix_listings_filter" in step for step in steps)
    assert not any("TEMP B-TREE" in step or "SCAN listing" in step for step in steps)


@pytest.mark.parametrize("wanted", [ListingFilter(), *NARROW])
def test_listings_are_looked_up_from_their_photos_and_not_the_other_way(
    database: Database, clock: Clock, wanted: ListingFilter
) -> None:
    ((_, photos),) = put(database, clock, [replace(LAMP, category="a")])
    first, second, *_ = plan_of(database, lambda session: listings_showing(session, photos, wanted))
    assert first.startswith("SEARCH listing_photos USING INDEX ix_listing_photos_photo_id")
    assert second.startswith("SEARCH listings USING INDEX sqlite_autoindex_listings_1 (id=?)")
