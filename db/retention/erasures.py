"""Erasure: a listing or a user leaves, with every row that belongs to it, in one transaction.

What can only be found by reading everything, such as results of searches, and what is not in the
database, is remembered in the erasure's row until it was looked for (`workers.retention.erasing`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import TextualSelect, Uuid, bindparam, delete, null, select, text, update
from sqlalchemy.orm import Session

from db.catalogue.listing_photos import photos_of
from db.events.forget import forget_events, forget_touches
from db.events.users import user_key
from db.jobs.of_users import forget_jobs, photos_of_jobs
from db.retention import photos
from db.retention.amounts import Amount
from db.retention.removed import Numbered, note_removed
from db.retention.saved_searches import forget_listings
from db.retention.tables import Erasure
from db.statements import chunks, is_postgresql
from db.tables import Generation, Listing, ListingChange, ListingPhoto, UtcDateTime
from db.text.write import forget_texts
from db.vectors.changes import record_changes, record_gone
from db.vectors.generations import KEPT
from models.domain.errors import NotFound
from models.domain.types import ListingStatus

DELETED_AT_ONCE: Final = 10
"""Listings that one transaction erases because they were deleted long ago."""
_ROW_BYTES: Final = 2_000
_NEXT: Final = (
    "SELECT id FROM listings {} WHERE status = 'deleted' AND updated_at < :before"
    " ORDER BY updated_at LIMIT :count"
)


def _next_of(hint: str) -> TextualSelect:
    statement = text(_NEXT.format(hint)).bindparams(bindparam("before", type_=UtcDateTime()))
    return statement.columns(id=Uuid())


_DELETED: Final = _next_of("")
# SQLite would take another index, that begins with the status, and sort.
_DELETED_ON_SQLITE: Final = _next_of("INDEXED BY ix_listings_deleted")
_BUILDS_TAKE: Final = timedelta(hours=1)


class ErasureKind(StrEnum):
    """What was erased: a `listing` or a `user` by request, or `deleted` listings by their age."""

    LISTING = "listing"
    USER = "user"
    DELETED = "deleted"


class Pending(BaseModel):
    """What is still to be looked for, until nothing is left of it.

    `listings` by id and by number, `photos` by SHA-256, `generations` that may hold their vectors,
    `places` as the listings spelt them.
    """

    model_config = ConfigDict(frozen=True)

    listings: tuple[UUID, ...] = ()
    numbers: tuple[int, ...] = ()
    photos: tuple[str, ...] = ()
    generations: tuple[int, ...] = ()
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Erased:
    """An erasure: its row, and how many listings and photos have left with it."""

    erasure_id: int
    listings: int
    photos: int


class _Row(NamedTuple):
    id: UUID
    number: int
    location: str | None
    updated_at: datetime


def erase_listing(session: Session, listing_id: UUID, now: datetime) -> Erased:
    """Erase a listing, deleted or not; the next search does not find it. Raises NotFound."""
    rows = _locked(session, [listing_id])
    if not rows:
        raise NotFound("There is no such listing.")
    removed = _remove_listings(session, rows)
    pending = Pending(
        listings=(listing_id,),
        numbers=tuple(row.number for row in rows),
        photos=tuple(sorted(removed.values())),
        generations=_holding(session, None) if removed else (),
        places=tuple(row.location for row in rows if row.location),
    )
    return _note(session, ErasureKind.LISTING, pending, now, len(rows), len(removed))


def next_deleted(session: Session, before: datetime, limit: int = 1) -> list[UUID]:
    """The next listings that were deleted before this time."""
    values = {"before": before, "count": limit}
    statement = _DELETED if is_postgresql(session) else _DELETED_ON_SQLITE
    return list(session.scalars(statement, values))


def erase_deleted(session: Session, before: datetime, now: datetime) -> int:
    """Erase the next listings that were deleted before this time; returns how many.

    What jobs say of them leaves with these, and the files of their photos as those of others do.
    """
    rows = [
        row
        for row in _locked(session, next_deleted(session, before, DELETED_AT_ONCE), deleted=True)
        if row.updated_at < before
    ]
    if not rows:
        return 0
    removed = _remove_listings(session, rows)
    since = max(row.updated_at for row in rows) + _BUILDS_TAKE
    pending = Pending(
        numbers=tuple(row.number for row in rows),
        generations=_holding(session, since) if removed else (),
    )
    _note(session, ErasureKind.DELETED, pending, now, len(rows), len(removed))
    return len(rows)


def erase_user(session: Session, user: str, now: datetime) -> Erased:
    """Erase all that is known of a user: events, what they counted for, and what was asked for."""
    key = user_key(session, user)
    forget_events(session, key)
    asked_with = photos_of_jobs(session, key)
    forget_jobs(session, key)
    pending = Pending(photos=tuple(sorted(asked_with)))
    return _note(session, ErasureKind.USER, pending, now, 0, len(asked_with))


def deleted_amount(session: Session, before: datetime) -> Amount:
    """How many listings were deleted before this time, and about what they take."""
    count = len(next_deleted(session, before, limit=10**9))
    return Amount(count, count * _ROW_BYTES)


def pending_erasures(session: Session, kinds: Sequence[ErasureKind]) -> list[Erasure]:
    """The erasures of these kinds that have not ended, in their order."""
    return list(
        session.scalars(
            select(Erasure)
            .where(Erasure.finished_at.is_(None), Erasure.kind.in_([one.value for one in kinds]))
            .order_by(Erasure.id)
        )
    )


def forget_pending(session: Session, erasure_ids: Sequence[int]) -> None:
    """Forget what was looked for: there is no other trace left."""
    for erasure_id in erasure_ids:
        forgetting = update(Erasure).where(Erasure.id == erasure_id).values(pending={})
        session.execute(forgetting.execution_options(synchronize_session=False))


def end_erasures(session: Session, erasure_ids: Sequence[int], now: datetime) -> None:
    """State that there is no trace left: nothing but when it was, and how much, is kept."""
    for erasure_id in erasure_ids:
        ending = update(Erasure).where(Erasure.id == erasure_id)
        ending = ending.values(pending=null(), finished_at=now)
        session.execute(ending.execution_options(synchronize_session=False))


def _locked(session: Session, listing_ids: Sequence[UUID], *, deleted: bool = False) -> list[_Row]:
    # In the order of `upsert_listings`.
    statement = (
        select(Listing.id, Listing.number, Listing.location, Listing.updated_at)
        .where(Listing.id.in_(listing_ids))
        .order_by(Listing.id)
        .with_for_update()
    )
    if deleted:
        statement = statement.where(Listing.status == ListingStatus.DELETED)
    return [_Row(*row) for row in session.execute(statement)]


def _remove_listings(session: Session, rows: Sequence[_Row]) -> dict[int, str]:
    """Delete locked listings with what belongs to them; the SHA-256 of photos no other has."""
    ids, numbers = [row.id for row in rows], [row.number for row in rows]
    forget_touches(session, numbers)
    forget_texts(session, numbers)
    forget_listings(session, ids)
    shown = photos_of(session, ids)
    for chunk in chunks(ids):
        for deleting in (
            delete(ListingPhoto).where(ListingPhoto.listing_id.in_(chunk)),
            delete(ListingChange).where(ListingChange.listing_id.in_(chunk)),
        ):
            session.execute(deleting.execution_options(synchronize_session=False))
    removed = photos.remove_orphans(session, shown, wait=True)
    record_changes(session, shown)
    for chunk in chunks(ids):
        deleting = delete(Listing).where(Listing.id.in_(chunk))
        session.execute(deleting.execution_options(synchronize_session=False))
    record_gone(session, numbers)
    note_removed(session, Numbered.LISTINGS, max(numbers))
    return removed


def _holding(session: Session, begun_before: datetime | None) -> tuple[int, ...]:
    """The generations that may hold vectors which are deleted in this transaction, by id.

    Those that were begun before this time, all if it is None.
    """
    if is_postgresql(session):
        # None is begun until this is committed: its build might read what is deleted here.
        session.execute(text("LOCK TABLE generations IN SHARE MODE"))
    statement = select(Generation.id).where(Generation.status.in_(KEPT)).order_by(Generation.id)
    if begun_before is not None:
        statement = statement.where(Generation.created_at < begun_before)
    return tuple(session.scalars(statement))


def _note(
    session: Session,
    kind: ErasureKind,
    pending: Pending,
    now: datetime,
    listings: int,
    photo_count: int,
) -> Erased:
    row = Erasure(
        kind=kind.value,
        listings=listings,
        photos=photo_count,
        requested_at=now,
        pending=pending.model_dump(mode="json"),
    )
    session.add(row)
    session.flush()
    return Erased(row.id, listings, photo_count)
