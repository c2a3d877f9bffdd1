"""Listings: upserts, deletion and queries."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import cast
from uuid import UUID

from sqlalchemy import Row, Select, and_, bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from db.catalogue.categories import category_ids, ensure_categories
from db.catalogue.listing_photos import photos_of
from db.catalogue.touched import touch_listings
from db.statements import chunks, insert_or_update
from db.tables import Category, Listing, ListingPhoto, Photo
from db.vectors.changes import record_changes
from models.domain.errors import NotFound
from models.domain.limits import is_placeholder_price, split_location
from models.domain.searches.attributes import Attributes, AttributeValue
from models.domain.types import ListingStatus

Columns = dict[str, object]
"""Values of a row of `listings`, by column."""

StoredRow = Row[*tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class ListingData:
    """A listing as its seller states it.

    `category` is a path such as `Bottoms / Trousers`, `location` a place such as `Poole, Dorset`;
    degrees are WGS 84. `seller` is whatever names the seller where the listing comes from,
    `external_id` what the feed that brings it calls it, if that is not its id. `attributes` are
    cleaned as by `models.domain.searches.attributes`; None leaves those that are stored.
    """

    id: UUID
    title: str
    description: str = ""
    category: str | None = None
    price: Decimal | None = None
    currency: str | None = None
    location: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    seller: str | None = None
    status: ListingStatus = ListingStatus.ACTIVE
    external_id: str | None = None
    attributes: Attributes | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class ListingView:
    """A listing as it is shown: its row, the path of its category, its photos in order.

    `incomplete` are those of the photos of which some pixels were not in their files.
    """

    listing: Listing
    category: str | None
    photos: list[str]
    incomplete: set[str]

    @property
    def attributes(self) -> dict[str, AttributeValue]:
        """Its attributes, in order of name: PostgreSQL keeps them in an order of its own."""
        stored = cast("Attributes", self.listing.attributes)
        return dict(sorted(stored.items()))


@dataclass(frozen=True, slots=True)
class Written:
    """How many listings a write created, changed and left unchanged."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def __add__(self, other: "Written") -> "Written":
        return Written(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
        )


@dataclass(frozen=True, slots=True)
class Upserted:
    """Which listings a write created, changed and left unchanged."""

    created: set[UUID]
    updated: set[UUID]
    unchanged: set[UUID]

    @property
    def written(self) -> Written:
        """How many of each."""
        return Written(len(self.created), len(self.updated), len(self.unchanged))


def upsert_listings(
    session: Session, listings: Sequence[ListingData], now: datetime, *, feed: str | None = None
) -> Upserted:
    """Create or update listings by id; a deleted one is restored.

    A listing that is already as stated is not written. Ids must be unique within a call. `feed`
    names the feed that brings them; without one, the stored feed and external id of each are kept.
    """
    # A dictionary keeps their order: the same feed always gives the same integers.
    stated = dict.fromkeys(item.category for item in listings if item.category)
    categories = ensure_categories(session, stated)
    rows, existing = _rows_and_stored(session, listings, categories, feed, lock=True)
    changed = _changed(rows, existing)
    if changed:
        changed_rows = [rows[listing_id] for listing_id in changed]
        insert_or_update(
            session,
            Listing,
            [row | {"created_at": now, "updated_at": now} for row in changed_rows],
            key=["id"],
            # Also right when another transaction has just inserted one of them.
            updating=[*(name for name in changed_rows[0] if name != "id"), "updated_at"],
        )
    touch_listings(session, changed)
    revived = [id_ for id_, row in existing.items() if row.status is ListingStatus.DELETED]
    record_changes(session, photos_of(session, revived))
    return _upserted(rows, existing, changed)


def compare_listings(
    session: Session, listings: Sequence[ListingData], *, feed: str | None = None
) -> Upserted:
    """What `upsert_listings` would write. Changes nothing."""
    stated = dict.fromkeys(item.category for item in listings if item.category)
    # No category has the integer 0: a listing of a category that does not exist yet is changed.
    categories = dict.fromkeys(stated, 0) | category_ids(session, stated)
    rows, existing = _rows_and_stored(session, listings, categories, feed, lock=False)
    return _upserted(rows, existing, _changed(rows, existing))


def _rows_and_stored(
    session: Session,
    listings: Sequence[ListingData],
    categories: Mapping[str, int],
    feed: str | None,
    *,
    lock: bool,
) -> tuple[dict[UUID, Columns], dict[UUID, StoredRow]]:
    """The rows of these listings, and the same columns of those that are stored, by id."""
    # Rows are locked in order of id here and of hash in `ensure_photos`, against deadlocks.
    ordered = sorted(listings, key=lambda item: item.id)
    rows = {item.id: _columns(item, categories, feed) for item in ordered}
    existing: dict[UUID, StoredRow] = {}
    for chunk in chunks(rows):
        statement = (
            select(*(getattr(Listing, name) for name in rows[chunk[0]]))
            .where(Listing.id.in_(chunk))
            .order_by(Listing.id)
        )
        found = session.execute(statement.with_for_update() if lock else statement)
        existing.update((row.id, row) for row in found)
    for item in ordered:
        if item.attributes is None:
            there = existing.get(item.id)
            rows[item.id]["attributes"] = there.attributes if there else {}
    return rows, existing


def _changed(rows: Mapping[UUID, Columns], existing: Mapping[UUID, StoredRow]) -> list[UUID]:
    return [id_ for id_, row in rows.items() if not _is_as_stored(row, existing.get(id_))]


def _is_as_stored(row: Columns, stored: StoredRow | None) -> bool:
    if stored is None or stored != tuple(row.values()):
        return False
    # To Python, the number 1 equals True.
    return _as_json(row["attributes"]) == _as_json(stored.attributes)


def _as_json(attributes: object) -> str:
    return json.dumps(attributes, sort_keys=True)


def _upserted(
    rows: Mapping[UUID, Columns], existing: Mapping[UUID, StoredRow], changed: Collection[UUID]
) -> Upserted:
    written = set(changed)
    return Upserted(
        created=written - existing.keys(),
        updated=written & existing.keys(),
        unchanged=rows.keys() - written,
    )


def _columns(item: ListingData, categories: Mapping[str, int], feed: str | None) -> Columns:
    place, county = split_location(item.location)
    columns: Columns = {
        "id": item.id,
        "title": item.title,
        "description": item.description,
        "category_id": categories[item.category] if item.category else None,
        "price": item.price,
        "currency": item.currency,
        "price_suspect": item.price is not None and is_placeholder_price(item.price),
        "location": item.location,
        "place": place,
        "county": county,
        "latitude": item.latitude,
        "longitude": item.longitude,
        "seller": item.seller,
        "attributes": dict(item.attributes or {}),
        "status": item.status,
    }
    return columns if feed is None else columns | {"feed": feed, "external_id": item.external_id}


def delete_listing(session: Session, listing_id: UUID, now: datetime) -> None:
    """Mark a listing as deleted; the next search does not find it. Raises NotFound."""
    if not delete_listings(session, [listing_id], now):
        raise NotFound("There is no such listing.")


def delete_listings(session: Session, listing_ids: Sequence[UUID], now: datetime) -> int:
    """Mark those of the listings that exist as deleted; returns how many."""
    deleted = [
        listing_id
        for chunk in chunks(listing_ids)
        for listing_id in session.scalars(
            select(Listing.id)
            .where(Listing.id.in_(chunk), Listing.status != ListingStatus.DELETED)
            # Locked in the order of `upsert_listings`; a plain UPDATE locks in any order.
            .order_by(Listing.id)
            .with_for_update()
        )
    ]
    for chunk in chunks(deleted):
        session.execute(
            update(Listing)
            .where(Listing.id.in_(chunk))
            .values(status=ListingStatus.DELETED, updated_at=now)
            .execution_options(synchronize_session=False)
        )
    record_changes(session, photos_of(session, deleted))
    touch_listings(session, deleted)
    return len(deleted)


def listings_of_feed(session: Session, feed: str, after: UUID | None, limit: int) -> list[UUID]:
    """The next listings that a feed has brought, in order of id, after this one."""
    statement = (
        select(Listing.id)
        .where(Listing.feed == feed, Listing.status != ListingStatus.DELETED)
        .order_by(Listing.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(Listing.id > after)
    return list(session.scalars(statement))


def feed_size(session: Session, feed: str) -> tuple[int, int]:
    """How many listings a feed has brought, and how many photos these show together."""
    of_feed = (Listing.feed == feed, Listing.status != ListingStatus.DELETED)
    listings = session.scalar(select(func.count()).select_from(Listing).where(*of_feed))
    photos = session.scalar(
        select(func.count())
        .select_from(ListingPhoto)
        .join(Listing, Listing.id == ListingPhoto.listing_id)
        .where(*of_feed)
    )
    return listings or 0, photos or 0


def get_listing(session: Session, listing_id: UUID) -> ListingView:
    """A listing. Raises NotFound."""
    views = views_of(session, [listing_id])
    if listing_id not in views:
        raise NotFound("There is no such listing.")
    return views[listing_id]


def lock_listing(session: Session, listing_id: UUID) -> None:
    """Let nobody else change a listing before this transaction has ended. Raises NotFound."""
    if session.scalar(_IS_THERE.with_for_update(), {"its_id": listing_id}) is None:
        raise NotFound("There is no such listing.")


def require_listing(session: Session, listing_id: UUID) -> None:
    """Raise NotFound unless there is this listing."""
    if session.scalar(_IS_THERE, {"its_id": listing_id}) is None:
        raise NotFound("There is no such listing.")


def views_of(session: Session, listing_ids: Collection[UUID]) -> dict[UUID, ListingView]:
    """Those of these listings that are there, by id."""
    return {
        view.listing.id: view
        for chunk in chunks(listing_ids)
        for view in _views(session, _SHOWN_BY_ID, {"ids": chunk})
    }


def recent_listings(
    session: Session,
    limit: int,
    before: tuple[datetime, UUID] | None,
    *,
    external_id: str | None = None,
    feed: str | None = None,
) -> list[ListingView]:
    """Listings, newest first; `before` is the creation time and id of the last one seen.

    Only those that feeds call `external_id`, or that the feed of this name has brought.
    """
    statement = (
        _shown_listings().order_by(Listing.created_at.desc(), Listing.id.desc()).limit(limit)
    )
    if external_id is not None:
        statement = statement.where(Listing.external_id == external_id)
    if feed is not None:
        statement = statement.where(Listing.feed == feed)
    if before is not None:
        created_at, listing_id = before
        statement = statement.where(
            or_(
                Listing.created_at < created_at,
                and_(Listing.created_at == created_at, Listing.id < listing_id),
            )
        )
    return _views(session, statement)


def _shown_listings() -> Select[Listing, str | None]:
    return (
        select(Listing, Category.path)
        .outerjoin(Category, Listing.category_id == Category.id)
        .where(Listing.status != ListingStatus.DELETED)
    )


# Built once: every search needs them.
_IS_THERE = select(Listing.id).where(
    Listing.id == bindparam("its_id"), Listing.status != ListingStatus.DELETED
)
_SHOWN_BY_ID = _shown_listings().where(Listing.id.in_(bindparam("ids", expanding=True)))
_THEIR_PHOTOS = (
    select(ListingPhoto.listing_id, Photo.sha256, Photo.incomplete)
    .join(Photo, Photo.id == ListingPhoto.photo_id)
    .where(ListingPhoto.listing_id.in_(bindparam("ids", expanding=True)))
    .order_by(ListingPhoto.listing_id, ListingPhoto.position)
)


def _views(
    session: Session,
    statement: Select[Listing, str | None],
    values: Mapping[str, object] | None = None,
) -> list[ListingView]:
    views = [ListingView(row, path, [], set()) for row, path in session.execute(statement, values)]
    by_id = {view.listing.id: view for view in views}
    for listing_id, sha256, incomplete in session.execute(_THEIR_PHOTOS, {"ids": list(by_id)}):
        by_id[listing_id].photos.append(sha256)
        if incomplete:
            by_id[listing_id].incomplete.add(sha256)
    return views


def count_listings(session: Session) -> int:
    """How many listings there are."""
    return (
        session.scalar(
            select(func.count()).select_from(Listing).where(Listing.status != ListingStatus.DELETED)
        )
        or 0
    )
