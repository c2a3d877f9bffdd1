"""Listings, photos and categories as the database keeps them."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from functools import partial
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from db.catalogue.categories import category_ids, ensure_categories
from db.catalogue.filters import listings_showing
from db.catalogue.listing_photos import (
    PhotoData,
    ensure_photos,
    is_public,
    photos_shown,
    set_photos,
    shown_in,
)
from db.catalogue.listings import (
    ListingData,
    Written,
    compare_listings,
    delete_listing,
    delete_listings,
    feed_size,
    get_listing,
    listings_of_feed,
    recent_listings,
    upsert_listings,
)
from db.session import Database
from db.statements import chunks
from db.tables import Category
from db.vectors.changes import changes_after, last_change
from models.domain.errors import NotFound
from models.domain.types import ListingStatus
from tests.support.catalogue import add_listing
from tests.support.clock import Clock

KETTLE = ListingData(
    id=UUID(int=1),
    title="Kettle ☕",
    category="Appliances / Kettles",
    price=Decimal("1250.00"),
    currency="GBP",
    location="Leeds, West Yorkshire",
    latitude=53.8,
    longitude=-1.55,
    seller="Sam ☕",
)
PHOTOS = [PhotoData("a" * 64, 3, 4), PhotoData("b" * 64, 5, 6)]


def put(database: Database, clock: Clock, *listings: ListingData) -> Written:
    with database.write() as session:
        return upsert_listings(session, listings, clock()).written


def put_with_photos(database: Database, clock: Clock, listing: ListingData) -> list[int]:
    with database.write() as session:
        return add_listing(session, PHOTOS, clock(), listing=listing)[1]


def test_listing_comes_back_as_stated(any_database: Database, clock: Clock) -> None:
    put_with_photos(any_database, clock, KETTLE)
    with any_database.read() as session:
        view = get_listing(session, KETTLE.id)
    assert view.listing.title == "Kettle ☕"
    assert view.listing.price == Decimal("1250.00")
    assert view.category == "Appliances / Kettles"
    assert (view.listing.latitude, view.listing.longitude) == (53.8, -1.55)
    assert view.listing.seller == "Sam ☕"
    assert view.listing.status is ListingStatus.ACTIVE
    assert view.photos == ["a" * 64, "b" * 64]
    assert view.listing.created_at == clock()


def test_second_upsert_changes_nothing_and_a_new_price_updates(
    any_database: Database, clock: Clock
) -> None:
    assert put(any_database, clock, KETTLE) == Written(created=1)
    assert put(any_database, clock, KETTLE) == Written(unchanged=1)
    assert put(any_database, clock, replace(KETTLE, price=None, currency=None)) == Written(
        updated=1
    )
    with any_database.read() as session:
        assert get_listing(session, KETTLE.id).listing.price is None


def test_writers_of_one_new_listing_all_succeed(any_database: Database, clock: Clock) -> None:
    for number in range(5):
        listing = replace(KETTLE, id=UUID(int=100 + number))
        versions = [replace(listing, title=title) for title in "0123"]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(partial(put, any_database, clock), versions))
        with any_database.read() as session:
            assert get_listing(session, listing.id).listing.title in set("0123")


def test_deleted_listing_is_gone_and_can_come_back(any_database: Database, clock: Clock) -> None:
    photo_ids = put_with_photos(any_database, clock, KETTLE)
    with any_database.write() as session:
        delete_listing(session, KETTLE.id, clock())
    with any_database.read() as session:
        seen = last_change(session)
        assert listings_showing(session, photo_ids) == {}
        assert not is_public(session, "a" * 64)
        assert recent_listings(session, 10, None) == []
        with pytest.raises(NotFound):
            get_listing(session, KETTLE.id)
    with pytest.raises(NotFound), any_database.write() as session:
        delete_listing(session, KETTLE.id, clock())
    assert put(any_database, clock, KETTLE) == Written(updated=1)
    with any_database.read() as session:
        assert listings_showing(session, photo_ids) == {item: [KETTLE.id] for item in photo_ids}
        assert changes_after(session, seen, 10)[1] == photo_ids


def test_only_changed_photos_are_reported_and_fed_to_the_index(
    any_database: Database, clock: Clock
) -> None:
    first, second = put_with_photos(any_database, clock, KETTLE)
    with any_database.write() as session:
        seen = last_change(session)
        assert set_photos(session, {KETTLE.id: [first, second]}) == set()
    with any_database.write() as session:
        assert last_change(session) == seen
        assert set_photos(session, {KETTLE.id: [second]}) == {KETTLE.id}
    with any_database.write() as session:
        assert changes_after(session, seen, 10)[1] == [first]
        assert set_photos(session, {KETTLE.id: [second, first]}) == {KETTLE.id}


def test_a_photo_may_serve_two_listings(any_database: Database, clock: Clock) -> None:
    twin = replace(KETTLE, id=uuid4())
    photo_ids = put_with_photos(any_database, clock, KETTLE)
    assert put_with_photos(any_database, clock, twin) == photo_ids
    with any_database.read() as session:
        shown = listings_showing(session, photo_ids[:1])
    assert set(shown[photo_ids[0]]) == {KETTLE.id, twin.id}


def test_categories_keep_their_integers(any_database: Database) -> None:
    with any_database.write() as session:
        before = ensure_categories(session, ["Tops / Shirts", "Bottoms"])
    with any_database.write() as session:
        after = ensure_categories(
            session, ["A new one / Deep / Deeper", "Bottoms", "Tops / Shirts"]
        )
        assert {path: after[path] for path in before} == before
        assert category_ids(session, ["Tops", "nowhere"]) == {"Tops": before["Tops"]}
        parents = {row.path: row.parent_id for row in session.scalars(select(Category))}
    assert parents["Tops"] is None
    assert parents["Tops / Shirts"] == before["Tops"]
    assert parents["A new one / Deep / Deeper"] == after["A new one / Deep"]


def test_pages_meet_without_gap_or_overlap(any_database: Database, clock: Clock) -> None:
    for number in range(7):
        put(any_database, clock, replace(KETTLE, id=UUID(int=number + 1)))
        if number % 2:
            clock.advance(seconds=1)
    seen: list[UUID] = []
    before = None
    with any_database.read() as session:
        while page := recent_listings(session, 3, before):
            seen += [view.listing.id for view in page]
            before = (page[-1].listing.created_at, page[-1].listing.id)
    assert len(seen) == len(set(seen)) == 7


def test_a_rolled_back_category_leaves_no_gap(any_database: Database) -> None:
    with suppress(RuntimeError), any_database.write() as session:
        ensure_categories(session, ["Never / Was"])
        raise RuntimeError
    with any_database.write() as session:
        ids = ensure_categories(session, ["Tops / Shirts", "Bottoms"])
    assert ids == {"Tops": 1, "Tops / Shirts": 2, "Bottoms": 3}


def test_categories_added_at_once_get_an_integer_each(any_database: Database) -> None:
    def add(number: int) -> dict[str, int]:
        with any_database.write() as session:
            return ensure_categories(session, [f"Root / {number % 4}", f"Own {number}"])

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(add, range(8)))
    together: dict[str, int] = {}
    for answer in answers:
        assert all(together.setdefault(path, number) == number for path, number in answer.items())
    assert sorted(together.values()) == list(range(1, 1 + 1 + 4 + 8))


def test_a_comparison_says_what_an_upsert_writes_and_writes_nothing(
    any_database: Database, clock: Clock
) -> None:
    put(any_database, clock, KETTLE)
    listings = [
        KETTLE,
        replace(KETTLE, id=UUID(int=2)),
        replace(KETTLE, id=UUID(int=3), category="Appliances / New"),
    ]
    with any_database.read() as session:
        for changed in (replace(KETTLE, title="Pot"), replace(KETTLE, category="New")):
            assert compare_listings(session, [changed]).updated == {KETTLE.id}
        expected = compare_listings(session, listings).written
    assert expected == Written(created=2, unchanged=1)
    assert put(any_database, clock, *listings) == expected


def test_a_location_is_split_and_a_placeholder_price_flagged(
    any_database: Database, clock: Clock
) -> None:
    put(any_database, clock, KETTLE)
    placeholder = replace(KETTLE, id=UUID(int=2), price=Decimal("1234567.00"), location=None)
    put(any_database, clock, placeholder)
    with any_database.read() as session:
        honest, funny = (get_listing(session, UUID(int=number)).listing for number in (1, 2))
    assert (honest.place, honest.county) == ("Leeds", "West Yorkshire")
    assert (funny.place, funny.county) == (None, None)
    assert (honest.price_suspect, funny.price_suspect) == (False, True)
    assert funny.price == Decimal("1234567.00")


def test_a_listing_stays_with_its_feed_until_another_brings_it(
    any_database: Database, clock: Clock
) -> None:
    def upsert(feed: str | None) -> Written:
        with any_database.write() as session:
            return upsert_listings(session, [KETTLE], clock(), feed=feed).written

    assert upsert("north") == Written(created=1)
    assert upsert(None) == upsert("north") == Written(unchanged=1)
    with any_database.read() as session:
        assert listings_of_feed(session, "north", None, 10) == [KETTLE.id]
        assert listings_of_feed(session, "north", KETTLE.id, 10) == []
    assert upsert("south") == Written(updated=1)
    with any_database.read() as session:
        assert listings_of_feed(session, "north", None, 10) == []


def test_only_active_listings_are_deleted_and_counted(any_database: Database, clock: Clock) -> None:
    ids = [UUID(int=number) for number in range(1, 5)]
    put(any_database, clock, *(replace(KETTLE, id=listing_id) for listing_id in ids[:3]))
    with any_database.write() as session:
        assert delete_listings(session, ids[:2], clock()) == 2
        assert delete_listings(session, ids, clock()) == 1


@pytest.mark.parametrize("status", [ListingStatus.RESERVED, ListingStatus.SOLD])
def test_what_is_not_for_sale_is_shown_but_no_search_finds_it(
    any_database: Database, clock: Clock, status: ListingStatus
) -> None:
    photo_ids = put_with_photos(any_database, clock, KETTLE)
    with any_database.read() as session:
        seen = last_change(session)
    assert put(any_database, clock, replace(KETTLE, status=status)) == Written(updated=1)
    with any_database.read() as session:
        assert get_listing(session, KETTLE.id).listing.status is status
        assert [view.listing.id for view in recent_listings(session, 10, None)] == [KETTLE.id]
        assert is_public(session, "a" * 64)
        assert listings_showing(session, photo_ids) == {}
        # It stays in the index, for those who ask for what is sold.
        assert last_change(session) == seen
        assert set(shown_in(session, photo_ids)) == set(photo_ids)
    assert put(any_database, clock, KETTLE) == Written(updated=1)
    with any_database.read() as session:
        assert listings_showing(session, photo_ids) == {item: [KETTLE.id] for item in photo_ids}
        assert last_change(session) == seen


def test_what_is_sold_is_deleted_as_all_else_and_comes_back_as_stated(
    any_database: Database, clock: Clock
) -> None:
    sold = replace(KETTLE, status=ListingStatus.SOLD)
    photo_ids = put_with_photos(any_database, clock, sold)
    with any_database.write() as session:
        delete_listing(session, KETTLE.id, clock())
    with any_database.read() as session:
        seen = last_change(session)
        assert recent_listings(session, 10, None) == []
        assert shown_in(session, photo_ids) == {}
    put(any_database, clock, sold)
    with any_database.read() as session:
        assert changes_after(session, seen, 10)[1] == photo_ids
        assert get_listing(session, KETTLE.id).listing.status is ListingStatus.SOLD


def test_a_feed_that_lists_what_was_sold_offers_it_again(
    any_database: Database, clock: Clock
) -> None:
    with any_database.write() as session:
        upsert_listings(session, [KETTLE], clock(), feed="north")
    put(any_database, clock, replace(KETTLE, status=ListingStatus.SOLD))
    with any_database.write() as session:
        assert listings_of_feed(session, "north", None, 10) == [KETTLE.id]
        assert feed_size(session, "north")[0] == 1
        upsert_listings(session, [KETTLE], clock(), feed="north")
        assert get_listing(session, KETTLE.id).listing.status is ListingStatus.ACTIVE


def test_photos_can_be_added_without_losing_any(any_database: Database, clock: Clock) -> None:
    first, second = put_with_photos(any_database, clock, KETTLE)
    with any_database.write() as session:
        assert set_photos(session, {KETTLE.id: [first]}, keep={KETTLE.id}) == set()
        assert set_photos(session, {KETTLE.id: []}, keep={KETTLE.id}) == set()
        assert set_photos(session, {KETTLE.id: [second]}, keep={KETTLE.id}) == {KETTLE.id}
        assert photos_shown(session, [KETTLE.id, uuid4()]) == {KETTLE.id: ["b" * 64, "a" * 64]}


def test_the_size_of_a_feed_is_what_can_be_found_of_it(
    any_database: Database, clock: Clock
) -> None:
    with any_database.write() as session:
        others = [replace(KETTLE, id=uuid4()) for _ in range(2)]
        upsert_listings(session, [KETTLE, *others], clock(), feed="north")
        ids = ensure_photos(session, PHOTOS, clock())
        set_photos(session, {item.id: list(ids.values()) for item in [KETTLE, *others]})
        delete_listing(session, KETTLE.id, clock())
        assert feed_size(session, "north") == (2, 4)
        assert feed_size(session, "south") == (0, 0)


def test_listings_deleted_and_written_at_once_do_not_lock_each_other_out(
    any_database: Database, clock: Clock
) -> None:
    # Inserted in descending order of id, which is how an update would lock them.
    listings = [replace(KETTLE, id=UUID(int=number)) for number in range(300, 0, -1)]
    for chunk in chunks(listings, 50):
        put(any_database, clock, *chunk)

    def delete(_: int) -> None:
        with any_database.write() as session:
            delete_listings(session, [item.id for item in listings], clock())

    def write(number: int) -> None:
        put(any_database, clock, *(replace(item, title=f"Title {number}") for item in listings))

    with ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(work, n) for n in range(10) for work in (delete, write)]
        for task in tasks:
            task.result()
