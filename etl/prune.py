"""Take out the listings that a feed once brought and lists no more."""

from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import UUID

from db.listings import delete_listings, listings_of_feed
from db.session import Database
from etl.sink import IsListed

LISTINGS_AT_ONCE = 2_000
# A feed that lacks more than this has more likely been cut short than sold out.
USUAL_SHARE = 0.5


class TooManyGone(Exception):
    """More of a feed's listings are gone than is believable; nothing was taken out."""


def prune(
    database: Database,
    feed: str,
    is_listed: IsListed,
    *,
    clock: Callable[[], datetime],
    force: bool = False,
    dry_run: bool = False,
) -> int:
    """Take out the feed's listings that it lists no more; returns how many there were.

    A listing whose row can't be used is listed all the same. Raises TooManyGone unless forced.
    """
    of_feed = gone = 0
    for listed, missing in _compared(database, feed, is_listed):
        of_feed += listed + len(missing)
        gone += len(missing)
    if gone > of_feed * USUAL_SHARE and not force:
        raise TooManyGone(
            f"{gone:,} of {of_feed:,} listings are not in the feed any more. None was taken out: "
            "if that is right, prune again with --force."
        )
    if not dry_run:
        for _, missing in _compared(database, feed, is_listed):
            with database.write() as session:
                delete_listings(session, missing, clock())
    return gone


def _compared(
    database: Database, feed: str, is_listed: IsListed
) -> Iterator[tuple[int, list[UUID]]]:
    """How many of the next listings are in the feed, and those that are not."""
    after: UUID | None = None
    while True:
        with database.read() as session:
            ids = listings_of_feed(session, feed, after, LISTINGS_AT_ONCE)
        if not ids:
            return
        after = ids[-1]
        listed = is_listed(map(str, ids))
        yield len(listed), [listing_id for listing_id in ids if str(listing_id) not in listed]
