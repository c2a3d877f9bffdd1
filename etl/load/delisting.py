"""Prune the listings of a feed that it no longer lists."""

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
    """The number of its listings that the feed no longer lists; unusable rows count as listed."""
    return sum(len(gone) for gone in _gone(database, feed, is_listed))


def prune(
    database: Database, feed: str, is_listed: IsListed, *, clock: Callable[[], datetime]
) -> int:
    """Delete the listings that the feed no longer lists; returns their number."""
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
