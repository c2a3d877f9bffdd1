"""The vectors of the photos that queries are made from."""

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from db.jobs import Claim
from db.session import Database
from db.statements import chunks
from db.store.photo_store import PhotoStore
from db.vectors.embeddings import vector_of_hash
from models.domain.errors import InvalidPhoto, MarketlensError
from models.domain.types import EncoderSpec
from models.encoders.encoder import Encoder
from models.photo_decoding import decode
from models.ranking.relevance_feedback import fuse
from workers.search.query import Query, QueryPhoto, query_of
from workers.search.stopwatch import Stopwatch

log = logging.getLogger(__name__)

Vector = NDArray[np.float32]

NOTHING_TO_COMPARE: Final = "The encoder finds nothing to compare in this photo."
MAX_PREPARED: Final = 32
"""Photos embedded at once, before the jobs that ask for them are done one by one."""


class QueryEncoder:
    """The vectors of the photos that queries are made from, by one encoder.

    `prepare` embeds the photos of several jobs at once, and keeps their vectors for each of them.
    """

    def __init__(
        self, database: Database, store: PhotoStore, encoder: Encoder, encoder_id: int
    ) -> None:
        self._database = database
        self._store = store
        self._encoder = encoder
        self._encoder_id = encoder_id
        self._made: dict[QueryPhoto, Vector] = {}

    @property
    def spec(self) -> EncoderSpec:
        """What identifies the encoder."""
        return self._encoder.spec

    def prepare(self, claims: Iterable[Claim], batch: int) -> None:
        """Embed the photos of several jobs, `batch` at once, which takes less time.

        A photo that can't be embedded here is left to the job that asks for it, which fails alone.
        """
        wanted: dict[QueryPhoto, None] = {}
        for claim in claims:
            with suppress(MarketlensError):
                wanted |= dict.fromkeys(query_of(claim.payload, self._database).photos)
        # A query by a listing may have many photos, and all jobs wait for all of them.
        wanted = dict.fromkeys(islice(wanted, MAX_PREPARED))
        decoded: dict[QueryPhoto, Image.Image] = {}
        try:
            for photo, vector in self._stored(wanted).items():
                with suppress(MarketlensError):
                    if vector is None:
                        decoded[photo] = self._decode(photo)
            for photos in chunks(decoded, batch):
                self._embed({photo: decoded[photo] for photo in photos})
        except Exception:
            log.exception("%s photos could not be embedded together", len(decoded))

    def queries_of(self, query: Query, watch: Stopwatch) -> NDArray[np.float32]:
        """The unit vectors (n, dimension) that a query searches by.

        See `models.ranking.relevance_feedback`. Photos in which the encoder finds nothing are left
        out. Raises InvalidPhoto when that is all of the positives, InvalidInput when positives and
        negatives cancel each other out, and what the store and `decode` raise.
        """
        vectors = self._vectors(query.photos, watch)
        positives = _seen(query.positives, vectors)
        if not positives:
            raise InvalidPhoto(NOTHING_TO_COMPARE)
        return fuse(positives, _seen(query.negatives, vectors))

    def vectors_of(self, hashes: list[str], watch: Stopwatch) -> list[Vector]:
        """A vector for each photo: the stored one where this encoder has embedded the same bytes.

        Photos in which the encoder finds nothing are left out. Raises InvalidPhoto when that is
        all of them, and what the store and `decode` raise.
        """
        found = self._vectors([QueryPhoto(sha256) for sha256 in hashes], watch)
        seen = [vector for vector in found.values() if vector.any()]
        if not seen:
            raise InvalidPhoto(NOTHING_TO_COMPARE)
        return seen

    def _vectors(self, photos: Sequence[QueryPhoto], watch: Stopwatch) -> dict[QueryPhoto, Vector]:
        stored = self._stored(photos)
        new = {
            photo: self._decode(photo)
            for photo, vector in stored.items()
            if vector is None and photo not in self._made
        }
        watch.lap("decode")
        self._embed(new)
        watch.lap("embed")
        return {
            photo: self._made[photo] if vector is None else vector
            for photo, vector in stored.items()
        }

    def _stored(self, photos: Iterable[QueryPhoto]) -> dict[QueryPhoto, Vector | None]:
        """The vectors that are stored; none of a part of a photo, which is another picture."""
        with self._database.read() as session:
            return {
                photo: None
                if photo.region
                else vector_of_hash(session, self._encoder_id, photo.sha256)
                for photo in photos
            }

    def _decode(self, photo: QueryPhoto) -> Image.Image:
        image = decode(self._store.get(photo.sha256))
        return photo.region.crop(image) if photo.region else image

    def _embed(self, photos: dict[QueryPhoto, Image.Image]) -> None:
        vectors = self._encoder.embed(list(photos.values()))
        self._made |= zip(photos, vectors, strict=True)


def _seen(
    examples: Iterable[Sequence[QueryPhoto]], vectors: dict[QueryPhoto, Vector]
) -> list[NDArray[np.float32]]:
    """The vectors (m, dimension) of each example in whose photos the encoder finds something."""
    rows = ([vectors[photo] for photo in example if vectors[photo].any()] for example in examples)
    return [np.stack(found) for found in rows if found]
