"""What searches, embeddings and predictions ask about: photos, and their vectors."""

import logging
from collections.abc import Iterable
from contextlib import suppress
from heapq import merge
from itertools import islice
from time import perf_counter
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy.orm import Session

from db.embeddings import vector_of_hash
from db.listing_photos import listings_showing, photo_hashes
from db.listings import get_listing, views_of
from db.photos import PhotoStore
from db.session import Database
from models.domain import EncoderSpec
from models.encoders.base import Encoder
from models.errors import InvalidPhoto, MarketlensError
from models.photos import decode
from models.ranking import ListingMatch, best_listings
from workers.embed import NOTHING_SEEN
from workers.live_index import LiveIndex

log = logging.getLogger(__name__)

Vector = NDArray[np.float32]

MAX_PREPARED: Final = 32
"""Photos embedded at once, ahead of the jobs that ask for them."""


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


class QueryEncoder:
    """The vectors of the photos that jobs ask about, by one encoder.

    What `prepare` has embedded for several jobs at once is there when each of them asks.
    """

    def __init__(
        self, database: Database, store: PhotoStore, encoder: Encoder, encoder_id: int
    ) -> None:
        self._database = database
        self._store = store
        self._encoder = encoder
        self._encoder_id = encoder_id
        self._made: dict[str, Vector] = {}

    @property
    def spec(self) -> EncoderSpec:
        """What identifies the encoder."""
        return self._encoder.spec

    def prepare(self, payloads: Iterable[dict[str, Any]]) -> None:
        """Embed what jobs with these payloads will ask for, together: that takes less time.

        Whatever can't be done here is left to the job that asks for it, and is its own error.
        """
        asked: dict[str, None] = {}
        for payload in payloads:
            with suppress(MarketlensError):
                asked |= dict.fromkeys(asked_about(payload, self._database)[1])
        # A question about a listing may have many photos, and all jobs wait for all of them.
        asked = dict.fromkeys(islice(asked, MAX_PREPARED))
        photos: dict[str, Image.Image] = {}
        try:
            for sha256, vector in self._stored(asked).items():
                with suppress(MarketlensError):
                    if vector is None:
                        photos[sha256] = decode(self._store.get(sha256))
            self._embed(photos)
        except Exception:
            log.exception("%s photos could not be embedded together", len(photos))

    def vectors_of(self, hashes: list[str], watch: Stopwatch) -> list[Vector]:
        """A vector for each photo: the stored one where this encoder has seen the same bytes.

        Photos in which the encoder finds nothing are left out. Raises InvalidPhoto when that is
        all of them, and what the store and `decode` raise.
        """
        stored = self._stored(hashes)
        new = {
            sha256: decode(self._store.get(sha256))
            for sha256, vector in stored.items()
            if vector is None and sha256 not in self._made
        }
        watch.lap("decode")
        self._embed(new)
        watch.lap("embed")
        vectors = [
            self._made[sha256] if vector is None else vector for sha256, vector in stored.items()
        ]
        seen = [vector for vector in vectors if vector.any()]
        if not seen:
            raise InvalidPhoto(NOTHING_SEEN)
        return seen

    def _stored(self, hashes: Iterable[str]) -> dict[str, Vector | None]:
        with self._database.read() as session:
            return {sha256: vector_of_hash(session, self._encoder_id, sha256) for sha256 in hashes}

    def _embed(self, photos: dict[str, Image.Image]) -> None:
        vectors = self._encoder.embed(list(photos.values()))
        self._made |= zip(photos, vectors, strict=True)


def asked_about(payload: dict[str, Any], database: Database) -> tuple[set[UUID], list[str]]:
    """The listing that must not find itself, if any, and the photos asked about.

    Raises NotFound when there is no such listing.
    """
    if "photo" in payload:
        return set(), [payload["photo"]]
    listing_id = UUID(payload["listing_id"])
    with database.read() as session:
        return {listing_id}, get_listing(session, listing_id).photos


def nearest_listings(
    session: Session, index: LiveIndex, vectors: list[Vector], limit: int, excluded: set[UUID]
) -> list[ListingMatch]:
    """The listings nearest to any of the vectors, nearest first.

    A listing is as near as its nearest photo is to the nearest of the vectors.
    """
    matches = merge(
        *(index.index.matches(vector) for vector in vectors), key=lambda match: -match.similarity
    )
    return best_listings(
        matches, lambda photo_ids: listings_showing(session, photo_ids), limit, excluded
    )


def described(found: list[ListingMatch], database: Database) -> list[dict[str, Any]]:
    """The listings found, as the HTTP contract shows them."""
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
