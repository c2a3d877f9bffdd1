"""The newest listings that pass: by columns, whatever happened to them, as by SQL."""

from datetime import timedelta
from random import Random
from uuid import UUID

import pytest

from db.catalogue.columns import columns_of, with_changes
from db.catalogue.listings import delete_listings, recent_listings, upsert_listings
from db.catalogue.newest import newest_listings
from db.session import Database
from models.columns.newest import newest
from models.domain.filters import ListingFilter
from models.domain.searches.attributes import AttributeCondition
from models.domain.types import ListingStatus
from tests.support.clock import Clock
from tests.support.listing_writes import drawn
from workers.search.catalogues import listings_passing

FILTERS = [
    ListingFilter(),
    ListingFilter(category="Home"),
    ListingFilter(exclude_seller="ann", currency="GBP"),
    ListingFilter(attributes=(AttributeCondition("colour", any_of=("RED",)),)),
]


@pytest.mark.parametrize("wanted", FILTERS)
def test_by_columns_as_by_sql(any_database: Database, clock: Clock, wanted: ListingFilter) -> None:
    rng = Random(7)
    with any_database.read() as session:
        columns = columns_of(session)
    for round_ in range(8):
        numbers = rng.sample(range(1, 60), 12)
        # Some of one moment, as a feed gives them, and some in an order of their own.
        moment = clock() + timedelta(hours=rng.randrange(3))
        with any_database.write() as session:
            upsert_listings(session, [drawn(number, rng) for number in numbers], moment)
            delete_listings(session, [UUID(int=numbers[0])], moment)
        with any_database.read() as session:
            columns = with_changes(session, columns)
            passing = listings_passing(session, columns, wanted)
            every = newest_listings(session, wanted, 100)
            assert newest(passing, 100) == every
            for count in (1, 3, round_ + 2):
                assert newest(passing, count) == every[:count]
                assert newest_listings(session, wanted, count) == every[:count]
            listed = [view.listing for view in recent_listings(session, 100, None)]
    if not wanted.narrows:
        active = [one.id for one in listed if one.status is ListingStatus.ACTIVE]
        assert every == active
