"""What searches, embeddings and predictions ask about: photos, and their vectors."""

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from time import perf_counter
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy.orm import Session

from db.catalogue.listing_photos import photo_hashes
from db.catalogue.listings import get_listing, views_of
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.embeddings import vector_of_hash
from models.domain.errors import InvalidPhoto, MarketlensError
from models.domain.regions import Region
from models.domain.types import EncoderSpec, ListingMatch
from models.encoders.encoder import Encoder
from models.photos import decode
from models.ranking.relevance_feedback import fuse
from workers.jobs.embed import NOTHING_SEEN
from workers.queue.messages import is_photo

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


class Sight(NamedTuple):
    """A photo, by its SHA-256, or a part of it."""

    sha256: str
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What a job asks about: things that the answer is to be like, and things that it is not.

    A thing is the photos of one listing, or one photo. `listings` are those that are named: they
    are never found themselves.
    """

    positives: list[list[Sight]]
    negatives: list[list[Sight]]
    listings: set[UUID]

    @property
    def sights(self) -> list[Sight]:
        """All that has to be seen, each once."""
        return list(dict.fromkeys(chain(*self.positives, *self.negatives)))


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
        self._made: dict[Sight, Vector] = {}

    @property
    def spec(self) -> EncoderSpec:
        """What identifies the encoder."""
        return self._encoder.spec

    def prepare(self, payloads: Iterable[dict[str, Any]]) -> None:
        """Embed what jobs with these payloads will ask for, together: that takes less time.

        Whatever can't be done here is left to the job that asks for it, and is its own error.
        """
        asked: dict[Sight, None] = {}
        for payload in payloads:
            with suppress(MarketlensError):
                asked |= dict.fromkeys(question_of(payload, self._database).sights)
        # A question about a listing may have many photos, and all jobs wait for all of them.
        asked = dict.fromkeys(islice(asked, MAX_PREPARED))
        photos: dict[Sight, Image.Image] = {}
        try:
            for sight, vector in self._stored(asked).items():
                with suppress(MarketlensError):
                    if vector is None:
                        photos[sight] = self._look(sight)
            self._embed(photos)
        except Exception:
            log.exception("%s photos could not be embedded together", len(photos))

    def queries_of(self, question: Question, watch: Stopwatch) -> NDArray[np.float32]:
        """The unit vectors (n, dimension) that a question searches by.

        See `models.ranking.relevance_feedback`. Photos in which the encoder finds nothing are left
        out. Raises InvalidPhoto when that is all of the positives, InvalidInput when positives and
        negatives cancel each other out, and what the store and `decode` raise.
        """
        vectors = self._vectors(question.sights, watch)
        positives = _seen(question.positives, vectors)
        if not positives:
            raise InvalidPhoto(NOTHING_SEEN)
        return fuse(positives, _seen(question.negatives, vectors))

    def vectors_of(self, hashes: list[str], watch: Stopwatch) -> list[Vector]:
        """A vector for each photo: the stored one where this encoder has seen the same bytes.

        Photos in which the encoder finds nothing are left out. Raises InvalidPhoto when that is
        all of them, and what the store and `decode` raise.
        """
        found = self._vectors([Sight(sha256) for sha256 in hashes], watch)
        seen = [vector for vector in found.values() if vector.any()]
        if not seen:
            raise InvalidPhoto(NOTHING_SEEN)
        return seen

    def _vectors(self, sights: Sequence[Sight], watch: Stopwatch) -> dict[Sight, Vector]:
        stored = self._stored(sights)
        new = {
            sight: self._look(sight)
            for sight, vector in stored.items()
            if vector is None and sight not in self._made
        }
        watch.lap("decode")
        self._embed(new)
        watch.lap("embed")
        return {
            sight: self._made[sight] if vector is None else vector
            for sight, vector in stored.items()
        }

    def _stored(self, sights: Iterable[Sight]) -> dict[Sight, Vector | None]:
        """What is known already. Of a part of a photo nothing is: that is another picture."""
        with self._database.read() as session:
            return {
                sight: None
                if sight.region
                else vector_of_hash(session, self._encoder_id, sight.sha256)
                for sight in sights
            }

    def _look(self, sight: Sight) -> Image.Image:
        photo = decode(self._store.get(sight.sha256))
        return sight.region.crop(photo) if sight.region else photo

    def _embed(self, photos: dict[Sight, Image.Image]) -> None:
        vectors = self._encoder.embed(list(photos.values()))
        self._made |= zip(photos, vectors, strict=True)


def question_of(payload: dict[str, Any], database: Database) -> Question:
    """What a job with this payload asks about.

    A payload that names a single `photo` or `listing_id` asks for what is like that. Raises
    NotFound when there is no such listing.
    """
    positives = payload.get("positive") or [payload.get("photo") or payload["listing_id"]]
    negatives = payload.get("negative", [])
    region = Region.from_payload(payload["region"]) if payload.get("region") else None
    with database.read() as session:
        return Question(
            [_thing(session, name, region) for name in positives],
            [_thing(session, name) for name in negatives],
            {UUID(name) for name in [*positives, *negatives] if not is_photo(name)},
        )


def _thing(session: Session, name: str, region: Region | None = None) -> list[Sight]:
    if is_photo(name):
        return [Sight(name, region)]
    return [Sight(sha256) for sha256 in get_listing(session, UUID(name)).photos]


def asked_about(payload: dict[str, Any], database: Database) -> tuple[set[UUID], list[str]]:
    """The listing that must not find itself, if any, and the photos asked about.

    Raises NotFound when there is no such listing.
    """
    question = question_of(payload, database)
    return question.listings, [sight.sha256 for sight in question.sights]


def _seen(
    things: Iterable[Sequence[Sight]], vectors: dict[Sight, Vector]
) -> list[NDArray[np.float32]]:
    """The vectors (m, dimension) of each thing in whose photos the encoder finds something."""
    rows = ([vectors[sight] for sight in thing if vectors[sight].any()] for thing in things)
    return [np.stack(found) for found in rows if found]


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
