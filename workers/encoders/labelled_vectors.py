"""Stored vectors of the catalogue's photos, with their listings and categories."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.categories import category_paths
from db.catalogue.listing_photos import photo_hashes, photo_ids_shown, shown_in
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.embeddings import embedded_photos, live_vectors_of
from models.domain.text import CATEGORY_SEPARATOR
from models.labels import LabelledPhotos, Level, categories_at

UNKNOWN: Final = ""
"""The category of a listing that has none, or none at this level."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledVectors:
    """Photos and their unit vectors (n, dimension) by one encoder, row by row.

    A photo has the first of the listings that show it; its category may be `UNKNOWN`.
    """

    photos: LabelledPhotos
    vectors: NDArray[np.float32]


def labelled_vectors(
    database: Database, store: PhotoStore, encoder_id: int, level: Level, most: int, seed: int = 0
) -> LabelledVectors:
    """The photos that this encoder has embedded: all, or those of drawn listings, about `most`."""
    with database.read() as session:
        photo_ids = embedded_photos(session, encoder_id)
        if len(photo_ids) > most:
            photo_ids = _of_drawn_listings(session, photo_ids, most, seed)
        ids, vectors = live_vectors_of(session, encoder_id, photo_ids)
        shown = shown_in(session, ids.tolist())
        hashes = photo_hashes(session, ids.tolist())
        paths = category_paths(session)
    rows = [row for row, photo_id in enumerate(ids.tolist()) if photo_id in shown]
    kept = ids[rows].tolist()
    listings = [shown[photo_id] for photo_id in kept]
    named = [paths.get(one.category_id) if one.category_id else None for one in listings]
    categories = categories_at(level, named, CATEGORY_SEPARATOR)
    photos = LabelledPhotos(
        tuple(hashes[photo_id] for photo_id in kept),
        tuple(str(one.listing_id) for one in listings),
        tuple(category or UNKNOWN for category in categories),
        store.get,
    )
    return LabelledVectors(photos, vectors[rows])


def _of_drawn_listings(session: Session, photo_ids: list[int], most: int, seed: int) -> list[int]:
    """All photos of the listings of drawn photos: whole listings, as they know the same item."""
    rng = np.random.default_rng(seed)
    drawn = rng.choice(photo_ids, most // 2, replace=False).tolist()
    # In the order in which their photos were drawn: those that are left out are left to chance.
    shown = shown_in(session, drawn)
    listings = dict.fromkeys(shown[photo_id].listing_id for photo_id in drawn if photo_id in shown)
    embedded = {*photo_ids}
    chosen: set[int] = set()
    photos_of = photo_ids_shown(session, listings)
    for listing in listings:
        chosen |= embedded & {*photos_of.get(listing, ())}
        if len(chosen) >= most:
            break
    return sorted(chosen)
