"""Photos of listings: which photos a listing shows, and which listings show a photo."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, delete, exists, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.catalogue.touched import touch_listings
from db.statements import chunks, insert_missing, insert_rows
from db.tables import Category, Listing, ListingPhoto, Photo
from db.vectors.changes import record_changes
from models.domain.types import ListingStatus


@dataclass(frozen=True, slots=True)
class PhotoData:
    """A standardised photo in the store; sizes in pixels.

    `incomplete` says that up to a twentieth of its pixels was not in the file it was made from.
    """

    sha256: str
    width: int
    height: int
    incomplete: bool = False


def ensure_photos(session: Session, photos: Collection[PhotoData], now: datetime) -> dict[str, int]:
    """The id of every photo by its SHA-256, adding those not known yet."""
    # Looked up before inserting: an insert that conflicts still consumes an id of the sequence.
    known = _photo_ids(session, [photo.sha256 for photo in photos])
    new = sorted(
        (photo for photo in photos if photo.sha256 not in known), key=lambda photo: photo.sha256
    )
    rows = [
        {
            "sha256": photo.sha256,
            "width": photo.width,
            "height": photo.height,
            "incomplete": photo.incomplete,
            "created_at": now,
        }
        for photo in new
    ]
    insert_missing(session, Photo, rows, key=["sha256"])
    return known | _photo_ids(session, [photo.sha256 for photo in new])


def _photo_ids(session: Session, hashes: Collection[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for chunk in chunks(hashes):
        # Locked against who deletes photos that no listing has.
        rows = session.execute(
            select(Photo.sha256, Photo.id)
            .where(Photo.sha256.in_(chunk))
            .order_by(Photo.sha256)
            .with_for_update(read=True, key_share=True)
        )
        found.update(dict(rows.all()))
    return found


def stored_photos(session: Session, hashes: Iterable[str]) -> dict[str, PhotoData]:
    """Those of the photos that have a row, by SHA-256. They stay until the transaction ends."""
    return {
        photo.sha256: PhotoData(photo.sha256, photo.width, photo.height, photo.incomplete)
        for chunk in chunks(hashes)
        for photo in session.scalars(
            select(Photo)
            .where(Photo.sha256.in_(chunk))
            .order_by(Photo.sha256)
            .with_for_update(read=True, key_share=True)
        )
    }


def set_photos(
    session: Session, photos: Mapping[UUID, Sequence[int]], *, keep: Collection[UUID] = ()
) -> set[UUID]:
    """Set the listings' photos, in this order; returns the listings that this changes.

    Listings in `keep` also keep the photos they have, after these. A job that fetches photos of a
    listing that were stated before will leave it as it is.
    """
    before = photo_ids_shown(session, photos)
    changed: dict[UUID, list[int]] = {}
    touched: set[int] = set()
    for listing_id, stated in photos.items():
        had = before.get(listing_id, [])
        wanted = list(dict.fromkeys([*stated, *had] if listing_id in keep else stated))
        if wanted != had:
            changed[listing_id] = wanted
            touched |= set(wanted) ^ set(had)
    for chunk in chunks(photos):
        session.execute(
            update(Listing)
            .where(Listing.id.in_(chunk), Listing.awaited_job.is_not(None))
            .values(awaited_job=None)
            .execution_options(synchronize_session=False)
        )
    for chunk in chunks(changed):
        session.execute(delete(ListingPhoto).where(ListingPhoto.listing_id.in_(chunk)))
    rows = [
        {"listing_id": listing_id, "photo_id": photo_id, "position": position}
        for listing_id, wanted in changed.items()
        for position, photo_id in enumerate(wanted)
    ]
    insert_rows(session, ListingPhoto, rows)
    record_changes(session, touched)
    touch_listings(session, changed)
    return set(changed)


def await_photos(session: Session, listing_id: UUID, job_id: UUID) -> None:
    """State that this job fetches photos of the listing, and sets them."""
    session.execute(
        update(Listing)
        .where(Listing.id == listing_id)
        .values(awaited_job=job_id)
        .execution_options(synchronize_session=False)
    )


def lock_awaiting(session: Session, listing_id: UUID, job_id: UUID) -> bool:
    """Lock the listing, if it is there and awaits photos of this job; whether it does."""
    awaited = session.scalar(
        select(Listing.awaited_job)
        .where(Listing.id == listing_id, Listing.status != ListingStatus.DELETED)
        .with_for_update()
    )
    return awaited == job_id


# Built once: every recommendation needs it.
_SHOWN = (
    select(ListingPhoto.listing_id, ListingPhoto.photo_id)
    .where(ListingPhoto.listing_id.in_(bindparam("listings", expanding=True)))
    .order_by(ListingPhoto.position)
)


def photo_ids_shown(session: Session, listing_ids: Iterable[UUID]) -> dict[UUID, list[int]]:
    """The photos of each listing that has some, in order."""
    found: dict[UUID, list[int]] = {}
    for chunk in chunks(listing_ids):
        for listing_id, photo_id in session.execute(_SHOWN, {"listings": chunk}):
            found.setdefault(listing_id, []).append(photo_id)
    return found


def listings_with(session: Session, photo_ids: Collection[int]) -> set[UUID]:
    """The listings that have any of these photos, deleted ones too."""
    return {
        listing_id
        for chunk in chunks(photo_ids)
        for listing_id in session.scalars(
            select(ListingPhoto.listing_id).where(ListingPhoto.photo_id.in_(chunk))
        )
    }


def photos_shown(session: Session, listing_ids: Iterable[UUID]) -> dict[UUID, list[str]]:
    """The SHA-256 of each listing's photos, in order, where it has some."""
    found: dict[UUID, list[str]] = {}
    for chunk in chunks(listing_ids):
        rows = session.execute(
            select(ListingPhoto.listing_id, Photo.sha256)
            .join(Photo, Photo.id == ListingPhoto.photo_id)
            .where(ListingPhoto.listing_id.in_(chunk))
            .order_by(ListingPhoto.position)
        )
        for listing_id, sha256 in rows:
            found.setdefault(listing_id, []).append(sha256)
    return found


class ShownIn(NamedTuple):
    """A listing that shows a photo, and its category."""

    listing_id: UUID
    category_id: int | None


def shown_in(session: Session, photo_ids: Collection[int]) -> dict[int, ShownIn]:
    """The listing that shows each photo; of several, the first by id."""
    found: dict[int, ShownIn] = {}
    for chunk in chunks(photo_ids):
        rows = session.execute(
            select(ListingPhoto.photo_id, Listing.id, Listing.category_id)
            .join(Listing, Listing.id == ListingPhoto.listing_id)
            .where(ListingPhoto.photo_id.in_(chunk), Listing.status != ListingStatus.DELETED)
            .order_by(Listing.id)
        )
        for photo_id, listing_id, category_id in rows:
            found.setdefault(photo_id, ShownIn(listing_id, category_id))
    return found


class FiledIn(NamedTuple):
    """A listing that shows a photo, and the path of its category."""

    listing_id: UUID
    category: str | None


def filed_in(session: Session, photo_ids: Collection[int]) -> dict[int, list[FiledIn]]:
    """The listings that show each photo, by id, with their categories."""
    found: dict[int, list[FiledIn]] = {}
    for chunk in chunks(photo_ids):
        for photo_id, listing_id, path in session.execute(_FILED, {"ids": chunk}):
            found.setdefault(photo_id, []).append(FiledIn(listing_id, path))
    return found


# Built once: every search with match labels needs it.
_FILED = (
    select(ListingPhoto.photo_id, Listing.id, Category.path)
    .join(Listing, Listing.id == ListingPhoto.listing_id)
    .outerjoin(Category, Category.id == Listing.category_id)
    .where(
        ListingPhoto.photo_id.in_(bindparam("ids", expanding=True)),
        Listing.status != ListingStatus.DELETED,
    )
    .order_by(Listing.id)
)


def photo_hashes(session: Session, photo_ids: Collection[int]) -> dict[int, str]:
    """The SHA-256 of each photo."""
    found: dict[int, str] = {}
    for chunk in chunks(photo_ids):
        rows = session.execute(_HASHES, {"ids": chunk})
        found.update(dict(rows.all()))
    return found


_HASHES = select(Photo.id, Photo.sha256).where(Photo.id.in_(bindparam("ids", expanding=True)))


def is_public(session: Session, sha256: str) -> bool:
    """Whether a listing shows this photo."""
    return (
        session.scalar(
            select(Photo.id)
            .join(ListingPhoto, ListingPhoto.photo_id == Photo.id)
            .join(Listing, Listing.id == ListingPhoto.listing_id)
            .where(Photo.sha256 == sha256, Listing.status != ListingStatus.DELETED)
            .limit(1)
        )
        is not None
    )


def count_photos(session: Session) -> int:
    """How many photos listings show."""
    return (
        session.scalar(
            select(func.count(ListingPhoto.photo_id.distinct()))
            .select_from(ListingPhoto)
            .join(Listing, Listing.id == ListingPhoto.listing_id)
            .where(Listing.status != ListingStatus.DELETED)
        )
        or 0
    )


def photos_of(session: Session, listing_ids: Collection[UUID]) -> list[int]:
    """The photos of all these listings."""
    found = photo_ids_shown(session, listing_ids)
    return [photo_id for photo_ids in found.values() for photo_id in photo_ids]


def is_shown(photo_id: InstrumentedAttribute[int]) -> ColumnElement[bool]:
    """The condition that a listing shows this photo, whether it is still for sale or not."""
    return exists().where(
        ListingPhoto.photo_id == photo_id,
        Listing.id == ListingPhoto.listing_id,
        Listing.status != ListingStatus.DELETED,
    )
