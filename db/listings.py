"""Listings, their photos and their categories."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from db.changes import record_changes
from db.statements import chunks, insert_missing, upsert
from db.tables import Category, Listing, ListingPhoto, Photo
from models.domain import ListingStatus
from models.errors import NotFound

CATEGORY_SEPARATOR = " / "


@dataclass(frozen=True, slots=True)
class ListingData:
    """A listing as its seller states it. `category` is a path such as `Bottoms / Trousers`."""

    id: UUID
    title: str
    description: str = ""
    category: str | None = None
    price: Decimal | None = None
    currency: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class PhotoData:
    """A standardised photo in the store; sizes in pixels."""

    sha256: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ListingView:
    """A listing as it is shown: its row, the path of its category, its photos in order."""

    listing: Listing
    category: str | None
    photos: list[str]


@dataclass(frozen=True, slots=True)
class Written:
    """How many listings a write created, changed and left as they were."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def __add__(self, other: "Written") -> "Written":
        return Written(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
        )


def ensure_categories(session: Session, paths: Iterable[str]) -> dict[str, int]:
    """The integer of every category path, adding the paths (and their parents) not known yet."""
    levels: dict[int, dict[str, None]] = {}
    for path in paths:
        parts = path.split(CATEGORY_SEPARATOR)
        for depth in range(1, len(parts) + 1):
            levels.setdefault(depth, {})[CATEGORY_SEPARATOR.join(parts[:depth])] = None
    ids: dict[str, int] = {}
    # Parents first: a child's row needs its parent's integer.
    for _, level in sorted(levels.items()):
        # Looked up before inserting: an insert that finds its row there still uses up an integer.
        ids |= category_ids(session, level)
        new = [path for path in level if path not in ids]
        insert_missing(session, Category, [_category(path, ids) for path in new], key=["path"])
        ids |= category_ids(session, new)
    return ids


def _category(path: str, ids: Mapping[str, int]) -> dict[str, Any]:
    parent, _, name = path.rpartition(CATEGORY_SEPARATOR)
    return {"path": path, "name": name, "parent_id": ids.get(parent)}


def category_ids(session: Session, paths: Iterable[str]) -> dict[str, int]:
    """The integers of those paths that are known."""
    found: dict[str, int] = {}
    for chunk in chunks(paths):
        rows = session.execute(select(Category.path, Category.id).where(Category.path.in_(chunk)))
        found.update(dict(rows.all()))
    return found


def ensure_photos(session: Session, photos: Collection[PhotoData], now: datetime) -> dict[str, int]:
    """The id of every photo by its SHA-256, adding those not known yet."""
    # Looked up before inserting: an insert that finds its row there still uses up an id.
    known = _photo_ids(session, [photo.sha256 for photo in photos])
    new = sorted(
        (photo for photo in photos if photo.sha256 not in known), key=lambda photo: photo.sha256
    )
    rows = [
        {"sha256": photo.sha256, "width": photo.width, "height": photo.height, "created_at": now}
        for photo in new
    ]
    insert_missing(session, Photo, rows, key=["sha256"])
    return known | _photo_ids(session, [photo.sha256 for photo in new])


def _photo_ids(session: Session, hashes: Collection[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for chunk in chunks(hashes):
        rows = session.execute(select(Photo.sha256, Photo.id).where(Photo.sha256.in_(chunk)))
        found.update(dict(rows.all()))
    return found


def stored_photos(session: Session, hashes: Iterable[str]) -> dict[str, PhotoData]:
    """Those of the photos that some listing has had, by SHA-256."""
    return {
        photo.sha256: PhotoData(photo.sha256, photo.width, photo.height)
        for chunk in chunks(hashes)
        for photo in session.scalars(select(Photo).where(Photo.sha256.in_(chunk)))
    }


def upsert_listings(session: Session, listings: Sequence[ListingData], now: datetime) -> Written:
    """Create or update listings by id; a deleted one becomes active again.

    A listing that is already as stated is not touched. Ids must be unique within a call.
    """
    # In order of appearance, not of a set: the same feed gives the same integers.
    stated = dict.fromkeys(item.category for item in listings if item.category)
    categories = ensure_categories(session, stated)
    # In order of id here and of hash in `ensure_photos`: writers that meet never cross.
    listings = sorted(listings, key=lambda item: item.id)
    existing = {
        row.id: row
        for chunk in chunks(item.id for item in listings)
        for row in session.scalars(
            select(Listing).where(Listing.id.in_(chunk)).order_by(Listing.id).with_for_update()
        )
    }
    rows: list[dict[str, Any]] = []
    revived: list[UUID] = []
    for item in listings:
        values = _columns(item, categories)
        row = existing.get(item.id)
        if row is not None and all(getattr(row, name) == value for name, value in values.items()):
            continue
        if row is not None and row.status is ListingStatus.DELETED:
            revived.append(item.id)
        rows.append({"id": item.id, "created_at": now, "updated_at": now, **values})
    if rows:
        _put_rows(session, rows)
    record_changes(session, _photos_of(session, revived))
    created = sum(item.id not in existing for item in listings)
    return Written(created, len(rows) - created, len(listings) - len(rows))


def _put_rows(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert or update; also right when somebody else has just inserted one of them."""
    statement = upsert(session, Listing)
    changing = {
        name: statement.excluded[name] for name in rows[0] if name not in {"id", "created_at"}
    }
    session.execute(
        statement.on_conflict_do_update(index_elements=["id"], set_=changing), list(rows)
    )


def _columns(item: ListingData, categories: Mapping[str, int]) -> dict[str, Any]:
    return {
        "title": item.title,
        "description": item.description,
        "category_id": categories[item.category] if item.category else None,
        "price": item.price,
        "currency": item.currency,
        "location": item.location,
        "status": ListingStatus.ACTIVE,
    }


def set_photos(session: Session, photos: Mapping[UUID, Sequence[int]]) -> list[int]:
    """Make these the listings' photos, in order; returns the photos that were not theirs before."""
    before: dict[UUID, list[int]] = {listing_id: [] for listing_id in photos}
    for chunk in chunks(photos):
        rows = session.execute(
            select(ListingPhoto.listing_id, ListingPhoto.photo_id)
            .where(ListingPhoto.listing_id.in_(chunk))
            .order_by(ListingPhoto.position)
        )
        for listing_id, photo_id in rows:
            before[listing_id].append(photo_id)
    changed = {
        listing_id: list(dict.fromkeys(wanted))
        for listing_id, wanted in photos.items()
        if list(dict.fromkeys(wanted)) != before[listing_id]
    }
    for chunk in chunks(changed):
        session.execute(delete(ListingPhoto).where(ListingPhoto.listing_id.in_(chunk)))
    rows_to_add = [
        {"listing_id": listing_id, "photo_id": photo_id, "position": position}
        for listing_id, wanted in changed.items()
        for position, photo_id in enumerate(wanted)
    ]
    if rows_to_add:
        session.execute(insert(ListingPhoto), rows_to_add)
    added: set[int] = set()
    touched: set[int] = set()
    for listing_id, wanted in changed.items():
        added |= set(wanted) - set(before[listing_id])
        touched |= set(wanted) ^ set(before[listing_id])
    record_changes(session, touched)
    return sorted(added)


def delete_listing(session: Session, listing_id: UUID, now: datetime) -> None:
    """Take a listing out: the next search will not find it. Raises NotFound."""
    deleted = session.execute(
        update(Listing)
        .where(Listing.id == listing_id, Listing.status == ListingStatus.ACTIVE)
        .values(status=ListingStatus.DELETED, updated_at=now)
        .returning(Listing.id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if deleted is None:
        raise NotFound("There is no such listing.")
    record_changes(session, _photos_of(session, [listing_id]))


def get_listing(session: Session, listing_id: UUID) -> ListingView:
    """An active listing. Raises NotFound."""
    views = views_of(session, [listing_id])
    if listing_id not in views:
        raise NotFound("There is no such listing.")
    return views[listing_id]


def views_of(session: Session, listing_ids: Collection[UUID]) -> dict[UUID, ListingView]:
    """The active ones among these listings, by id."""
    return {
        view.listing.id: view
        for chunk in chunks(listing_ids)
        for view in _views(session, _active_listings().where(Listing.id.in_(chunk)))
    }


def recent_listings(
    session: Session, limit: int, before: tuple[datetime, UUID] | None
) -> list[ListingView]:
    """Active listings, newest first; `before` is the creation time and id of the last one seen."""
    statement = (
        _active_listings().order_by(Listing.created_at.desc(), Listing.id.desc()).limit(limit)
    )
    if before is not None:
        created_at, listing_id = before
        statement = statement.where(
            or_(
                Listing.created_at < created_at,
                and_(Listing.created_at == created_at, Listing.id < listing_id),
            )
        )
    return _views(session, statement)


def _active_listings() -> Select[Listing, str | None]:
    return (
        select(Listing, Category.path)
        .outerjoin(Category, Listing.category_id == Category.id)
        .where(Listing.status == ListingStatus.ACTIVE)
    )


def _views(session: Session, statement: Select[Listing, str | None]) -> list[ListingView]:
    views = [ListingView(row, path, []) for row, path in session.execute(statement)]
    by_id = {view.listing.id: view for view in views}
    photos = session.execute(
        select(ListingPhoto.listing_id, Photo.sha256)
        .join(Photo, Photo.id == ListingPhoto.photo_id)
        .where(ListingPhoto.listing_id.in_(by_id))
        .order_by(ListingPhoto.listing_id, ListingPhoto.position)
    )
    for listing_id, sha256 in photos:
        by_id[listing_id].photos.append(sha256)
    return views


def listings_showing(session: Session, photo_ids: Collection[int]) -> dict[int, list[UUID]]:
    """The active listings of each photo, in order of id."""
    found: dict[int, list[UUID]] = {}
    for chunk in chunks(photo_ids):
        rows = session.execute(
            select(ListingPhoto.photo_id, ListingPhoto.listing_id)
            .join(Listing, Listing.id == ListingPhoto.listing_id)
            .where(ListingPhoto.photo_id.in_(chunk), Listing.status == ListingStatus.ACTIVE)
            .order_by(ListingPhoto.listing_id)
        )
        for photo_id, listing_id in rows:
            found.setdefault(photo_id, []).append(listing_id)
    return found


def photo_hashes(session: Session, photo_ids: Collection[int]) -> dict[int, str]:
    """The SHA-256 of each photo."""
    found: dict[int, str] = {}
    for chunk in chunks(photo_ids):
        rows = session.execute(select(Photo.id, Photo.sha256).where(Photo.id.in_(chunk)))
        found.update(dict(rows.all()))
    return found


def is_public(session: Session, sha256: str) -> bool:
    """Whether an active listing shows this photo."""
    return (
        session.scalar(
            select(Photo.id)
            .join(ListingPhoto, ListingPhoto.photo_id == Photo.id)
            .join(Listing, Listing.id == ListingPhoto.listing_id)
            .where(Photo.sha256 == sha256, Listing.status == ListingStatus.ACTIVE)
            .limit(1)
        )
        is not None
    )


def count_active(session: Session) -> int:
    """How many listings can be found."""
    return (
        session.scalar(
            select(func.count()).select_from(Listing).where(Listing.status == ListingStatus.ACTIVE)
        )
        or 0
    )


def count_photos(session: Session) -> int:
    """How many photos listings that can be found show."""
    return (
        session.scalar(
            select(func.count(ListingPhoto.photo_id.distinct()))
            .select_from(ListingPhoto)
            .join(Listing, Listing.id == ListingPhoto.listing_id)
            .where(Listing.status == ListingStatus.ACTIVE)
        )
        or 0
    )


def _photos_of(session: Session, listing_ids: Collection[UUID]) -> list[int]:
    return [
        photo_id
        for chunk in chunks(listing_ids)
        for photo_id in session.scalars(
            select(ListingPhoto.photo_id)
            .where(ListingPhoto.listing_id.in_(chunk))
            .order_by(ListingPhoto.listing_id, ListingPhoto.position)
        )
    ]
