"""The vectors of the photos that queries are made from."""

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy.orm import Session

from db.statements import chunks
from db.store.photo_store import PhotoStore
from db.vectors.embeddings import vectors_of_hashes
from models.adaptation.adapted_encoder import feature_map_of
from models.domain.errors import InvalidPhoto
from models.domain.regions import AUTO, Region
from models.domain.types import EncoderSpec
from models.encoders.encoder import Encoder
from models.photo_decoding import decode
from models.ranking.relevance_feedback import fuse
from models.subjects.find import find_subjects
from models.subjects.search_region import search_region
from observability.metrics import photos_embedded
from workers.search.query import Query, QueryPhoto
from workers.search.stopwatch import Stopwatch

log = logging.getLogger(__name__)

Vector = NDArray[np.float32]

NOTHING_TO_COMPARE: Final = "The encoder finds nothing to compare in this photo."
DECODED_AT_ONCE: Final = 32
"""Photos of queries that are in memory at the same time, at most."""


class Embedder(Protocol):
    """An encoder, by its id, that embeds up to `batch` photos at once."""

    @property
    def encoder_id(self) -> int:
        """Its id."""

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded."""

    @property
    def batch(self) -> int:
        """How many photos it embeds at once."""


class QueryEncoder:
    """The vectors of the photos of some queries, by one encoder.

    First `look_up`, within a transaction, then `embed`, outside of it, then what gives vectors. A
    photo that can't be embedded fails only the queries that ask for it.
    """

    def __init__(self, store: PhotoStore, engine: Embedder) -> None:
        self._store = store
        self._engine = engine
        self._vectors: dict[QueryPhoto, Vector] = {}
        self._failed: dict[QueryPhoto, Exception] = {}
        self._found: dict[QueryPhoto, Region | None] = {}

    @property
    def spec(self) -> EncoderSpec:
        """What identifies the encoder."""
        return self._engine.encoder.spec

    @property
    def encoder(self) -> Encoder:
        """The encoder."""
        return self._engine.encoder

    def look_up(self, session: Session, photos: Iterable[QueryPhoto]) -> None:
        """Take the vectors that are stored; none of a part of a photo, which is another picture."""
        hashes = {photo.sha256 for photo in photos if photo.region is None}
        stored = vectors_of_hashes(session, self._engine.encoder_id, hashes)
        self._vectors |= {QueryPhoto(sha256): vector for sha256, vector in stored.items()}

    def embed(self, photos: Iterable[QueryPhoto], watch: Stopwatch) -> int:
        """Decode and embed those photos whose vectors are not known, `batch` of them at once.

        Returns how many were not known.
        """
        batch = self._engine.batch
        missing = dict.fromkeys(photo for photo in photos if photo not in self._vectors)
        for some in chunks(missing, max(batch, DECODED_AT_ONCE)):
            decoded = self._decoded(some)
            watch.lap("decode")
            if any(photo.region == AUTO for photo in decoded):
                decoded = self._cut_to_subjects(decoded)
                watch.lap("subject")
            for together in chunks(decoded, batch):
                self._embed({photo: decoded[photo] for photo in together})
            watch.lap("embed")
        # Also where nothing was missing, for what was looked up.
        watch.lap("decode")
        watch.lap("embed")
        return len(missing)

    def region_of(self, query: Query) -> Region | None:
        """The part of the query's photo that is searched by, drawn or found; None for all of it."""
        for photo in query.photos:
            region = self._found.get(photo) if photo.region == AUTO else photo.region
            if region is not None:
                return region
        return None

    def queries_of(self, query: Query) -> NDArray[np.float32]:
        """The unit vectors (n, dimension) that a query searches by.

        See `models.ranking.relevance_feedback`. Photos in which the encoder finds nothing are left
        out. Raises InvalidPhoto when that is all of the positives, InvalidInput when positives and
        negatives cancel each other out, and whatever kept a photo from being embedded.
        """
        positives = self._seen(query.positives)
        negatives = self._seen(query.negatives)
        if not positives:
            raise InvalidPhoto(NOTHING_TO_COMPARE)
        return fuse(positives, negatives)

    def vectors_of(self, photos: Iterable[QueryPhoto]) -> list[Vector]:
        """A vector (dimension,) for each photo; those where the encoder finds nothing are left out.

        Raises InvalidPhoto when that is all of them, and whatever kept one from being embedded.
        """
        seen = [vector for photo in photos if (vector := self._vector(photo)).any()]
        if not seen:
            raise InvalidPhoto(NOTHING_TO_COMPARE)
        return seen

    def _decoded(self, photos: Collection[QueryPhoto]) -> dict[QueryPhoto, Image.Image]:
        decoded = {}
        for photo in photos:
            try:
                image = decode(self._store.get(photo.sha256))
                region = photo.region
                decoded[photo] = region.crop(image) if isinstance(region, Region) else image
            except Exception as error:  # noqa: BLE001 - it is raised for who asks for the photo
                self._failed[photo] = error
        return decoded

    def _cut_to_subjects(
        self, photos: dict[QueryPhoto, Image.Image]
    ) -> dict[QueryPhoto, Image.Image]:
        """The photos, those whose subject is searched for cut to it."""
        cut = {}
        for photo, image in photos.items():
            try:
                region = self._subject_of(image) if photo.region == AUTO else None
                cut[photo] = region.crop(image) if region else image
            except Exception as error:  # noqa: BLE001 - it is raised for who asks for the photo
                self._failed[photo] = error
            else:
                self._found[photo] = region
        return cut

    def _subject_of(self, image: Image.Image) -> Region | None:
        """None where the subject fills the photo, or the encoder has no network to find it by."""
        features = feature_map_of(self._engine.encoder, image)
        if features is None:
            return None
        return search_region(find_subjects(features), *image.size)

    def _embed(self, photos: dict[QueryPhoto, Image.Image]) -> None:
        try:
            vectors = self._engine.encoder.embed(list(photos.values()))
        except Exception as error:
            if len(photos) == 1:
                self._failed |= dict.fromkeys(photos, error)
                return
            log.exception("%s photos can't be embedded together", len(photos))
            for photo, image in photos.items():
                self._embed({photo: image})
        else:
            photos_embedded("query", len(photos))
            self._vectors |= zip(photos, vectors, strict=True)

    def _vector(self, photo: QueryPhoto) -> Vector:
        if photo in self._failed:
            raise self._failed[photo]
        return self._vectors[photo]

    def _seen(self, examples: Iterable[Sequence[QueryPhoto]]) -> list[NDArray[np.float32]]:
        """The vectors (m, dimension) of each example in whose photos something is found."""
        rows = (
            [vector for photo in example if (vector := self._vector(photo)).any()]
            for example in examples
        )
        return [np.stack(found) for found in rows if found]
