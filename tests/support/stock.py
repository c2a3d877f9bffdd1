"""Listings in a database, with vectors that are given: what searches run on without an encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, delete_listing, upsert_listings
from db.session import Database
from tests.support.brute_force import BruteForceIndex

NOW = datetime(2030, 1, 2, tzinfo=UTC)
DIMENSION = 3
Vectors = NDArray[np.float32]


def unit(*numbers: float) -> Vectors:
    vector: Vectors = np.array(numbers, np.float32)
    vector /= np.linalg.norm(vector)
    return vector


@dataclass
class Stock:
    """Listings in a database, and an index of their photos, which are numbered from one."""

    database: Database
    index: BruteForceIndex

    @classmethod
    def of(
        cls, database: Database, vectors: Sequence[Vectors], listings: dict[ListingData, list[int]]
    ) -> "Stock":
        """Listings by the photos that they show; photo n has vectors[n - 1]."""
        stock = cls(database, BruteForceIndex(dict(enumerate(vectors, start=1)), DIMENSION))
        with database.write() as session:
            photos = [PhotoData(f"{number:064x}", 100, 100) for number in stock.index.vectors]
            ids = ensure_photos(session, photos, NOW)
        assert list(ids.values()) == list(stock.index.vectors)
        stock.put(listings)
        return stock

    def put(self, listings: dict[ListingData, list[int]]) -> None:
        with self.database.write() as session:
            upsert_listings(session, list(listings), NOW)
            set_photos(session, {listing.id: shown for listing, shown in listings.items()})

    def delete(self, listing_id: UUID) -> None:
        with self.database.write() as session:
            delete_listing(session, listing_id, NOW)


def listing(number: int, **stated: object) -> ListingData:
    return ListingData(UUID(int=number), f"Thing {number}", **stated)  # type: ignore[arg-type]
