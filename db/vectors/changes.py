"""The change feed: numbered in commit order, so that a reader never skips a change.

A sequence alone does not ensure that on PostgreSQL: a lower number can commit after a higher one
was read, and a reader that continues after the highest number it has read would skip it.
"""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Integer, bindparam, func, insert, select
from sqlalchemy.orm import Session

from db.advisory_locks import hold_lock
from db.catalogue.touched import touched_listings
from db.retention.removed import Numbered, require_all_after
from db.tables import Change, ListingChange

# An arbitrary key; no other lock in the same database may use it.
NUMBERING_LOCK = 0x4D4C_4348

# Keys in `session.info` of the photos that are changed in this transaction, and of the numbers of
# the listings that are erased.
_PENDING = "changed_photos"
_GONE = "gone_listings"


def record_changes(session: Session, photo_ids: Iterable[int]) -> None:
    """Add these photos to the change feed when this transaction commits."""
    session.info.setdefault(_PENDING, set()).update(photo_ids)


def record_gone(session: Session, listing_numbers: Iterable[int]) -> None:
    """Add listings, by number, that are erased when this transaction commits."""
    session.info.setdefault(_GONE, set()).update(listing_numbers)


def number_changes(session: Session) -> None:
    """Insert the recorded changes; called as the last statement of a transaction.

    On PostgreSQL an advisory lock is held until the transaction ends, so that numbers become
    visible in order. It is taken last: held while the transaction waits for other locks, it could
    deadlock. SQLite has a single writer anyway. What holds it and stands still is rolled back, so
    that a frozen process stops no other (`db.advisory_locks`).
    """
    photos = [{"photo_id": photo_id} for photo_id in sorted(session.info.pop(_PENDING, ()))]
    listings = [{"listing_id": listing_id} for listing_id in sorted(touched_listings(session))]
    gone = [{"gone": number} for number in sorted(session.info.pop(_GONE, ()))]
    if not photos and not listings and not gone:
        return
    hold_lock(session, NUMBERING_LOCK)
    if photos:
        session.execute(insert(Change), photos)
    if listings:
        session.execute(insert(ListingChange), listings)
    if gone:
        session.execute(insert(ListingChange), gone)


def last_change(session: Session) -> int:
    """The newest committed change number, 0 when there is none."""
    return session.scalar(select(func.max(Change.number))) or 0


# Built once: every search needs it.
_AFTER = (
    select(Change.number, Change.photo_id)
    .where(Change.number > bindparam("seen"))
    .order_by(Change.number)
    .limit(bindparam("count", type_=Integer()))
)


def changes_after(session: Session, number: int, limit: int) -> tuple[int, list[int]]:
    """The next `limit` changes after `number`: the last number among them, and their photos.

    Raises ChangesMissed.
    """
    rows = session.execute(_AFTER, {"seen": number, "count": limit}).all()
    if not rows:
        return number, []
    require_all_after(session, Numbered.CHANGES, number, rows[0].number)
    return rows[-1].number, sorted({row.photo_id for row in rows})


class ListingChanges(NamedTuple):
    """The last number that was read, the listings that changed, and the numbers of erased ones."""

    last: int
    listings: list[UUID]
    gone: list[int]


_LISTINGS_AFTER = (
    select(ListingChange.number, ListingChange.listing_id, ListingChange.gone)
    .where(ListingChange.number > bindparam("seen"))
    .order_by(ListingChange.number)
    .limit(bindparam("count", type_=Integer()))
)


def listing_changes_after(session: Session, number: int, limit: int) -> ListingChanges:
    """The next `limit` changes of listings after `number`. Raises ChangesMissed."""
    rows = session.execute(_LISTINGS_AFTER, {"seen": number, "count": limit}).all()
    if not rows:
        return ListingChanges(number, [], [])
    require_all_after(session, Numbered.LISTING_CHANGES, number, rows[0].number)
    return ListingChanges(
        rows[-1].number,
        sorted({row.listing_id for row in rows if row.listing_id is not None}),
        sorted({row.gone for row in rows if row.gone is not None}),
    )


def last_listing_change(session: Session) -> int:
    """The number of the newest committed change of a listing, 0 when there is none."""
    return session.scalar(select(func.max(ListingChange.number))) or 0


def changed_listing(session: Session, number: int) -> str:
    """What tells the listing that has this change from others; empty if there is no such change."""
    found = session.execute(
        select(ListingChange.listing_id, ListingChange.gone).where(ListingChange.number == number)
    ).one_or_none()
    if found is None:
        return ""
    return f"gone {found.gone}" if found.listing_id is None else found.listing_id.hex
