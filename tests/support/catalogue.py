"""Listings with photos, stored in a database as the product stores them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, upsert_listings
from db.store.photo_store import PhotoStore
from models.photo_decoding import standardise
from tests.support.clock import Clock


def sha256(number: int) -> str:
    """A digest that stands for a photo whose file nobody reads."""
    return f"{number:064x}"


def numbered_photos(*numbers: int) -> list[PhotoData]:
    """Photos without files, 3 by 4 pixels, one a number."""
    return [PhotoData(sha256(number), 3, 4) for number in numbers]


def stored_photos(store: PhotoStore, *photos: bytes) -> list[PhotoData]:
    """Photos in the form that the product keeps, put into a store."""
    standard = [standardise(data) for data in photos]
    return [PhotoData(store.put(item.data), item.width, item.height) for item in standard]


def add_listing(
    session: Session,
    photos: Sequence[PhotoData],
    now: datetime | None = None,
    *,
    listing: ListingData | None = None,
) -> tuple[UUID, list[int]]:
    """Store a listing that shows these photos; returns its id and theirs, in their order."""
    now = now or Clock()()
    listing = listing or ListingData(uuid4(), "A thing")
    upsert_listings(session, [listing], now)
    ids = ensure_photos(session, photos, now)
    photo_ids = [ids[photo.sha256] for photo in photos]
    set_photos(session, {listing.id: photo_ids})
    return listing.id, photo_ids
