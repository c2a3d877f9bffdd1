"""What a ranking reads of listings: by columns, whatever happened to them, as by SQL."""

from dataclasses import replace
from decimal import Decimal
from random import Random
from uuid import UUID

from db.catalogue.columns import columns_of, with_changes
from db.catalogue.listings import ListingData, delete_listings, upsert_listings
from db.session import Database
from tests.support.clock import Clock
from tests.support.listing_writes import drawn
from workers.search.catalogues import facts_of

PRICES = [None, Decimal("0.01"), Decimal("19.99"), Decimal(9_999), Decimal(11_111), Decimal(12_346)]


def placed(number: int, rng: Random) -> ListingData:
    latitude, longitude = rng.choice([(None, None), (51.5, -0.1), (0.0, 0.0), (-90.0, 180.0)])
    return replace(
        drawn(number, rng), price=rng.choice(PRICES), latitude=latitude, longitude=longitude
    )


def test_facts_by_columns_are_those_of_the_database(any_database: Database, clock: Clock) -> None:
    rng = Random(5)
    with any_database.read() as session:
        columns = columns_of(session)
    for _ in range(12):
        numbers = rng.sample(range(1, 40), 6)
        with any_database.write() as session:
            upsert_listings(session, [placed(number, rng) for number in numbers], clock())
            delete_listings(session, [UUID(int=numbers[0])], clock())
        gone = {UUID(int=numbers[0])}
        ids = [UUID(int=number) for number in range(45)]
        rng.shuffle(ids)
        with any_database.read() as session:
            columns = with_changes(session, columns)
            for popularity in (None, "size", "unheard"):
                there = facts_of(session, columns, ids, popularity)
                stored = facts_of(session, None, list(there), popularity)
                assert there == stored
                assert gone.isdisjoint(there)
            assert len(there) == columns.listings
            assert facts_of(session, columns, []) == {}
