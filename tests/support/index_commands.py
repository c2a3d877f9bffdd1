"""A data folder with a catalogue, for tests of the commands that index it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
from typer.testing import Result

from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, upsert_listings
from db.session import Database
from db.vectors import generations
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import active_encoder
from models.domain.clock import utc_now
from models.domain.types import EncoderSpec

ELSEWHERE = EncoderSpec("resnet50", 16, "e" * 64)
LISTINGS = 40

RunIndex = Callable[..., Result]


@dataclass
class Catalogue:
    """A data folder with a catalogue that is embedded, and not indexed yet."""

    folder: Path
    database: Database
    rng: np.random.Generator

    def add(self, count: int) -> list[UUID]:
        """List so many things, a photo each, embedded by the active encoder."""
        listings = [ListingData(uuid4(), "A thing") for _ in range(count)]
        photos = [PhotoData(uuid4().hex * 2, 3, 4) for _ in listings]
        vectors = self.rng.standard_normal((count, ELSEWHERE.dimension)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        with self.database.write() as session:
            active = active_encoder(session)
            assert active
            upsert_listings(session, listings, utc_now())
            ids = ensure_photos(session, photos, utc_now())
            photo_ids = [ids[photo.sha256] for photo in photos]
            pairs = zip(listings, photo_ids, strict=True)
            set_photos(session, {listing.id: [photo_id] for listing, photo_id in pairs})
            add_embeddings(session, active.id, dict(zip(photo_ids, vectors, strict=True)))
        return [listing.id for listing in listings]

    @property
    def generations_dir(self) -> Path:
        return self.folder / "generations"

    def live(self) -> int:
        with self.database.read() as session:
            active = active_encoder(session)
            assert active
            live = generations.live(session, active.id)
            assert live
            return live.id

    def folders(self) -> set[str]:
        return {path.name for path in self.generations_dir.iterdir()}
