"""The search job: a photo or a listing in, listings that look like it out."""

from collections.abc import Callable
from datetime import datetime
from heapq import merge
from time import perf_counter
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.embeddings import vector_of_hash
from db.jobs import Claim
from db.listing_photos import (
    listings_showing,
    photo_hashes,
)
from db.listings import (
    count_active,
    get_listing,
    views_of,
)
from db.photos import PhotoStore
from db.session import Database
from models.encoders.base import Encoder
from models.errors import InvalidPhoto, NothingIndexed
from models.photos import decode
from models.ranking import ListingMatch, best_listings
from workers.embed import NOTHING_SEEN
from workers.live_index import LiveIndex


class Stopwatch:
    """Milliseconds spent in each named part of a job."""

    def __init__(self, queued_ms: float) -> None:
        self.took_ms = {"queue": round(queued_ms, 1)}
        self._total = self._lap = perf_counter()

    def lap(self, part: str) -> None:
        """Charge the time since the last lap to `part`."""
        now = perf_counter()
        self.took_ms[part] = round(self.took_ms.get(part, 0.0) + (now - self._lap) * 1e3, 1)
        self._lap = now

    def stop(self) -> dict[str, float]:
        """The parts, with the total from acceptance to now."""
        total = self.took_ms["queue"] + (perf_counter() - self._total) * 1e3
        return {**self.took_ms, "total": round(total, 1)}


def run_search(
    claim: Claim,
    *,
    database: Database,
    store: PhotoStore,
    encoder: Encoder,
    encoder_id: int,
    index: LiveIndex,
    clock: Callable[[], datetime],
) -> dict[str, Any]:
    """Do a search job and give its result, as the HTTP contract shows it."""
    watch = Stopwatch((clock() - claim.created_at).total_seconds() * 1e3)
    excluded, hashes = _query_photos(claim.payload, database)
    vectors = _vectors_of(hashes, database, store, encoder, encoder_id, watch)
    with database.read() as session:
        index.sync(session)
        if index.index.rows == 0 and count_active(session):
            raise NothingIndexed(
                f"No photo has been embedded by {encoder.spec.label} yet: "
                "`marketlens seed` queues what is missing."
            )
        watch.lap("sync")
        # A listing is as similar as its best photo is to the best of the query's photos.
        matches = merge(
            *(index.index.matches(vector) for vector in vectors),
            key=lambda match: -match.similarity,
        )
        found = best_listings(
            matches,
            lambda photo_ids: listings_showing(session, photo_ids),
            claim.payload["limit"],
            excluded,
        )
        watch.lap("search")
    results = _results(found, database)
    watch.lap("rank")
    return {
        "generation": index.generation_id,
        "encoder": encoder.spec.label,
        "exact": index.index.exact,
        "took_ms": watch.stop(),
        "results": results,
    }


def _query_photos(payload: dict[str, Any], database: Database) -> tuple[set[UUID], list[str]]:
    """The listing that must not find itself, if any, and the photos to search by."""
    if "photo" in payload:
        return set(), [payload["photo"]]
    listing_id = UUID(payload["listing_id"])
    with database.read() as session:
        return {listing_id}, get_listing(session, listing_id).photos


def _vectors_of(
    hashes: list[str],
    database: Database,
    store: PhotoStore,
    encoder: Encoder,
    encoder_id: int,
    watch: Stopwatch,
) -> list[NDArray[np.float32]]:
    """A vector for each photo: the stored one where this encoder has seen the same bytes."""
    with database.read() as session:
        stored = {sha256: vector_of_hash(session, encoder_id, sha256) for sha256 in hashes}
    new = [sha256 for sha256, vector in stored.items() if vector is None]
    photos = [decode(store.get(sha256)) for sha256 in new]
    watch.lap("decode")
    made = dict(zip(new, encoder.embed(photos), strict=True))
    watch.lap("embed")
    vectors = [made[sha256] if vector is None else vector for sha256, vector in stored.items()]
    seen = [vector for vector in vectors if vector.any()]
    if not seen:
        raise InvalidPhoto(NOTHING_SEEN)
    return seen


def _results(found: list[ListingMatch], database: Database) -> list[dict[str, Any]]:
    with database.read() as session:
        views = views_of(session, [match.listing_id for match in found])
        hashes = photo_hashes(session, [match.photo_id for match in found])
    results = []
    for match in found:
        view = views.get(match.listing_id)
        if view is None:  # deleted a moment ago
            continue
        listing = view.listing
        sha256 = hashes[match.photo_id]
        results.append(
            {
                "listing_id": str(listing.id),
                "title": listing.title,
                "price": None if listing.price is None else str(listing.price),
                "currency": listing.currency,
                "category": view.category,
                "location": listing.location,
                "photo": {"id": sha256, "url": f"/v1/photos/{sha256}"},
                "similarity": round(match.similarity, 6),
            }
        )
    return results
