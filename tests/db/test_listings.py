"""Listings, photos and categories as the database keeps them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from functools import partial
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from db.changes import changes_after, last_change
from db.listings import (
    ListingData,
    PhotoData,
    Written,
    category_ids,
    delete_listing,
    ensure_categories,
    ensure_photos,
    get_listing,
    is_public,
    listings_showing,
    recent_listings,
    set_photos,
    upsert_listings,
)
from db.session import Database
from db.tables import Category
from models.errors import NotFound
from tests.conftest import Clock

KETTLE = ListingData(
    id=UUID(int=1),
    title="Kettle ☕",
    category="Appliances / Kettles",
    price=Decimal("1250.00"),
    currency="GBP",
    location="Leeds, West Yorkshire",
)
PHOTOS = [PhotoData("a" * 64, 3, 4), PhotoData("b" * 64, 5, 6)]


def put(database: Database, clock: Clock, *listings: ListingData) -> Written:
    with database.write() as session:
        return upsert_listings(session, listings, clock())


def put_with_photos(database: Database, clock: Clock, listing: ListingData) -> list[int]:
    with database.write() as session:
        upsert_listings(session, [listing], clock())
        ids = ensure_photos(session, PHOTOS, clock())
        photo_ids = [ids[photo.sha256] for photo in PHOTOS]
        set_photos(session, {listing.id: photo_ids})
    return photo_ids


def test_listing_comes_back_as_stated(any_database: Database, clock: Clock) -> None:
    put_with_photos(any_database, clock, KETTLE)
    with any_database.read() as session:
        view = get_listing(session, KETTLE.id)
    assert view.listing.title == "Kettle ☕"
    assert view.listing.price == Decimal("1250.00")
    assert view.category == "Appliances / Kettles"
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
        assert set_photos(session, {KETTLE.id: [first, second]}) == []
    with any_database.write() as session:
        assert last_change(session) == seen
        assert set_photos(session, {KETTLE.id: [second]}) == []
    with any_database.write() as session:
        assert changes_after(session, seen, 10)[1] == [first]
        assert set_photos(session, {KETTLE.id: [second, first]}) == [first]


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
