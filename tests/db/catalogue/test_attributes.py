"""Listings keep their attributes and number, and each write of one is in the change feed."""

from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.catalogue.listings import ListingData, compare_listings, delete_listing, upsert_listings
from db.session import Database
from db.tables import Listing, ListingChange
from models.domain.searches.attributes import Attributes
from tests.support.clock import Clock

A, B = UUID(int=1), UUID(int=2)


def feed(session: Session) -> list[UUID]:
    return list(session.scalars(select(ListingChange.listing_id).order_by(ListingChange.number)))


def numbers(session: Session) -> dict[UUID, int]:
    return {row.id: row.number for row in session.execute(select(Listing.id, Listing.number))}


@pytest.mark.parametrize("count", [3, 300])
def test_each_listing_has_a_number_that_stays(
    any_database: Database, clock: Clock, count: int
) -> None:
    listings = [ListingData(UUID(int=n), "Lamp") for n in range(1, count + 1)]
    with any_database.write() as session:
        upsert_listings(session, listings, clock())
    with any_database.write() as session:
        before = numbers(session)
        upsert_listings(
            session, [ListingData(A, "Other"), ListingData(UUID(int=999), "New")], clock()
        )
    with any_database.read() as session:
        after = numbers(session)
    assert len(set(after.values())) == count + 1
    assert {id_: after[id_] for id_ in before} == before


def test_attributes_are_stored_and_stay_where_none_are_stated(
    any_database: Database, clock: Clock
) -> None:
    stated: Attributes = {
        "brand": "Anglepoise",
        "height": 40.5,
        "new": True,
        "tags": ["desk", "steel"],
    }
    with any_database.write() as session:
        upsert_listings(session, [ListingData(A, "Lamp", attributes=stated)], clock())
    with any_database.write() as session:
        upsert_listings(session, [ListingData(A, "Desk lamp")], clock())
    with any_database.read() as session:
        assert session.scalars(select(Listing.attributes)).one() == stated
        assert compare_listings(session, [ListingData(A, "Desk lamp")]).unchanged == {A}


@pytest.mark.parametrize(("before", "after"), [(1, True), (0, False), ("1", 1)])
def test_a_value_of_another_type_is_a_change(
    any_database: Database, clock: Clock, before: int | str, after: int | bool
) -> None:
    with any_database.write() as session:
        upsert_listings(session, [ListingData(A, "Lamp", attributes={"x": before})], clock())
    with any_database.write() as session:
        listing = ListingData(A, "Lamp", attributes={"x": after})
        assert upsert_listings(session, [listing], clock()).updated == {A}
    with any_database.read() as session:
        assert repr(session.scalars(select(Listing.attributes)).one()) == repr({"x": after})


def test_every_write_of_a_listing_is_in_the_feed_and_nothing_else(
    any_database: Database, clock: Clock
) -> None:
    both = [ListingData(A, "Lamp"), ListingData(B, "Bed")]
    with any_database.write() as session:
        upsert_listings(session, both, clock())
    with any_database.write() as session:
        upsert_listings(session, [ListingData(A, "Desk lamp"), both[1]], clock())
    with any_database.write() as session:
        delete_listing(session, B, clock())
    with any_database.write() as session:
        upsert_listings(session, both[1:], clock())
    with any_database.read() as session:
        assert feed(session) == [A, B, A, B, B]
