"""Perceptual hashes of photos, and the listings that show them: the input of duplicate search.

Needs numpy: the API never imports this module.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from db.catalogue.listing_photos import is_shown
from db.statements import chunks
from db.tables import Listing, ListingPhoto, Photo
from models.domain.types import ListingStatus

BATCH_ROWS = 2_000


class HashedPhotos(NamedTuple):
    """Photos that listings show: their ids (n,) in order, and their perceptual hashes (n,).

    Where `known` (n,) is false a photo has no hash, and a zero in its place.
    """

    ids: NDArray[np.int64]
    hashes: NDArray[np.int64]
    known: NDArray[np.bool_]


class Offer(NamedTuple):
    """A listing that shows a photo."""

    listing_id: UUID
    title: str
    seller: str | None
    status: ListingStatus
    photo_id: int
    sha256: str


def set_phashes(session: Session, phashes: Mapping[int, int]) -> None:
    """Store perceptual hashes by photo id, where there is none yet."""
    statement = (
        update(Photo.__table__)  # type: ignore[arg-type] # a Table, which the base class hides
        .where(Photo.id == bindparam("photo"), Photo.phash.is_(None))
        .values(phash=bindparam("made"))
    )
    # In order of id, so that two jobs with photos in common do not deadlock.
    rows = [{"photo": photo_id, "made": phash} for photo_id, phash in sorted(phashes.items())]
    if rows:
        session.execute(statement, rows)


def count_without_phash(session: Session) -> int:
    """How many photos a listing shows that have no hash."""
    statement = select(func.count()).select_from(Photo)
    return session.scalars(statement.where(Photo.phash.is_(None), is_shown(Photo.id))).one()


def photos_without_phash(session: Session, after: int, limit: int) -> dict[int, str]:
    """The next photos that a listing shows and that have no hash: ids, in order, and SHA-256."""
    rows = session.execute(
        select(Photo.id, Photo.sha256)
        .where(Photo.id > after, Photo.phash.is_(None), is_shown(Photo.id))
        .order_by(Photo.id)
        .limit(limit)
    )
    return dict(rows.all())


def phashes_of(session: Session, hashes: Collection[str]) -> dict[str, int]:
    """The perceptual hashes of those of the photos that have one, by SHA-256."""
    return {
        sha256: phash
        for chunk in chunks(hashes)
        for sha256, phash in session.execute(
            select(Photo.sha256, Photo.phash).where(Photo.sha256.in_(chunk))
        )
        if phash is not None
    }


def phashes_of_photos(session: Session, photo_ids: Collection[int]) -> dict[int, int]:
    """The perceptual hashes of those of the photos that have one, by id."""
    return {
        photo_id: phash
        for chunk in chunks(photo_ids)
        for photo_id, phash in session.execute(
            select(Photo.id, Photo.phash).where(Photo.id.in_(chunk), Photo.phash.is_not(None))
        )
        if phash is not None
    }


def hashed_photos(session: Session) -> HashedPhotos:
    """Every photo that a listing shows."""
    rows = session.execute(
        select(Photo.id, Photo.phash)
        .where(is_shown(Photo.id))
        .order_by(Photo.id)
        .execution_options(yield_per=BATCH_ROWS)
    )
    parts = [
        np.array([(photo_id, phash or 0, phash is not None) for photo_id, phash in batch])
        for batch in rows.partitions()
    ]
    ids, hashes, known = np.concatenate([np.empty((0, 3), np.int64), *parts]).T.copy()
    return HashedPhotos(ids, hashes, known.astype(np.bool_))


def photos_by_listing(session: Session) -> Iterator[list[int]]:
    """The ids of the photos of each listing, read lazily."""
    rows = session.execute(
        select(ListingPhoto.listing_id, ListingPhoto.photo_id)
        .join(Listing, Listing.id == ListingPhoto.listing_id)
        .where(Listing.status != ListingStatus.DELETED)
        .order_by(ListingPhoto.listing_id)
        .execution_options(yield_per=BATCH_ROWS)
    )
    for _, of_one in groupby(rows, key=lambda row: row.listing_id):
        yield [row.photo_id for row in of_one]


def offers_showing(session: Session, photo_ids: Collection[int]) -> dict[int, list[Offer]]:
    """The listings that show each photo, in order of id."""
    found: dict[int, list[Offer]] = {}
    for chunk in chunks(photo_ids):
        rows = session.execute(
            select(
                Listing.id, Listing.title, Listing.seller, Listing.status, Photo.id, Photo.sha256
            )
            .join(ListingPhoto, ListingPhoto.listing_id == Listing.id)
            .join(Photo, Photo.id == ListingPhoto.photo_id)
            .where(Photo.id.in_(chunk), Listing.status != ListingStatus.DELETED)
            .order_by(Listing.id)
        )
        for row in rows:
            offer = Offer(*row)
            found.setdefault(offer.photo_id, []).append(offer)
    return found
