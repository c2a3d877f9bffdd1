"""Take out the listings that a feed once brought and lists no more."""

from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import UUID

from db.catalogue.listings import (
    delete_listings,
    listings_of_feed,
)
from db.session import Database
from etl.load.sink import IsListed

LISTINGS_AT_ONCE = 2_000


def count_gone(database: Database, feed: str, is_listed: IsListed) -> int:
    """How many of the feed's listings it lists no more. One whose row can't be used is listed."""
    return sum(len(gone) for gone in _gone(database, feed, is_listed))


def prune(
    database: Database, feed: str, is_listed: IsListed, *, clock: Callable[[], datetime]
) -> int:
    """Take out the feed's listings that it lists no more; returns how many there were."""
    pruned = 0
    for gone in _gone(database, feed, is_listed):
        with database.write() as session:
            pruned += delete_listings(session, gone, clock())
    return pruned


def _gone(database: Database, feed: str, is_listed: IsListed) -> Iterator[list[UUID]]:
    after: UUID | None = None
    while True:
        with database.read() as session:
            ids = listings_of_feed(session, feed, after, LISTINGS_AT_ONCE)
        if not ids:
            return
        after = ids[-1]
        listed = is_listed(map(str, ids))
        yield [listing_id for listing_id in ids if str(listing_id) not in listed]
