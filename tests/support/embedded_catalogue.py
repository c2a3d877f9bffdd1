"""A catalogue whose vectors are given: its photos have no files."""

from typing import Any
from uuid import uuid4

from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, upsert_listings
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import find_encoder
from models.labels import LabelledPhotos
from tests.support.workers import WorkerHarness


def fill(
    worker: WorkerHarness, photos: LabelledPhotos, vectors: Any, encoder_id: int | None = None
) -> None:
    """List these photos, and store their vectors as if the first encoder had made them."""
    ids = {name: uuid4() for name in dict.fromkeys(photos.listings)}
    listings = {
        ListingData(ids[name], name, category=category)
        for name, category in zip(photos.listings, photos.categories, strict=True)
    }
    with worker.database.write() as session:
        now = worker.now()
        upsert_listings(session, sorted(listings, key=lambda one: one.title), now)
        known = ensure_photos(session, [PhotoData(sha, 3, 4) for sha in photos.hashes], now)
        shown: dict[Any, list[int]] = {}
        for name, sha in zip(photos.listings, photos.hashes, strict=True):
            shown.setdefault(ids[name], []).append(known[sha])
        set_photos(session, shown)
        rows = [known[sha] for sha in photos.hashes]
        base = find_encoder(session, worker.encoder.spec)
        assert base
        add_embeddings(session, encoder_id or base.id, dict(zip(rows, vectors, strict=True)))
