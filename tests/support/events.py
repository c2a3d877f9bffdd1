"""Events for tests, and listings to have them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from db.catalogue.listings import ListingData, upsert_listings
from db.events.store import NewEvent, StoredBatch, store_events
from db.session import Database
from models.domain.recommendations.events import EventKind


def add_listings(database: Database, count: int, now: datetime) -> list[UUID]:
    """Listings with the numbers from 1 on, in an empty database; returns their ids."""
    listings = [listing_of(number) for number in range(1, count + 1)]
    with database.write() as session:
        upsert_listings(session, listings, now)
    return [listing.id for listing in listings]


def listing_of(number: int) -> ListingData:
    """The listing that events of this number are of."""
    return ListingData(UUID(int=number), f"Thing {number}")


def event(
    event_id: str, user: str, listing: int, at: datetime, kind: EventKind = EventKind.VIEWED
) -> NewEvent:
    """An event of the listing that `add_listings` has given this number."""
    return NewEvent(event_id, user, kind, UUID(int=listing), at)


def store(database: Database, events: Sequence[NewEvent], now: datetime) -> StoredBatch:
    """Store a batch in a transaction of its own."""
    with database.write() as session:
        return store_events(session, events, now)
