"""What embed jobs work with, and what has come of their photos."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy.orm import Session

from db.catalogue.perceptual_hashes import set_phashes
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.embeddings import add_embeddings
from models.adaptation.adapted_encoder import embed_by_all
from models.domain.errors import InvalidInput, MarketlensError, NotFound
from models.domain.job_payloads import EmbedPayload
from models.domain.job_results.embeddings import PhotoError
from models.encoders.encoder import Encoder
from models.near_duplicates import perceptual_hash
from models.photo_decoding import decode
from observability.metrics import photos_embedded
from workers.jobs.time_limit import TimeLimit
from workers.saved_searches.matching import SavedSearchMatcher

NICENESS: Final = 15
"""Of the threads that decode and encode: somebody waits for a search."""

Vectors = dict[int, dict[int, NDArray[np.float32]]]
"""New vectors (dimension,) of photos by id, by encoder; zero where it finds nothing to compare."""


class Decoded(NamedTuple):
    """A photo, and its perceptual hash."""

    photo: Image.Image
    phash: int


@dataclass(frozen=True, slots=True)
class EmbedTools:
    """What embed jobs work with: the encoders by id, and the limits of a photo.

    A job is tried `max_attempts` times; decoding a photo, or embedding a few, is a step of the
    `time_limit`.
    """

    database: Database
    store: PhotoStore
    encoders: Mapping[int, Encoder]
    matcher: SavedSearchMatcher
    clock: Callable[[], datetime]
    time_limit: TimeLimit
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Embedded:
    """What was computed of a job's photos, by their ids.

    `unreadable` are the SHA-256 of photos without a hash, and why; `missing` those that are not in
    the store, although they were.
    """

    vectors: Vectors
    phashes: dict[int, int] = field(default_factory=dict)
    unreadable: list[PhotoError] = field(default_factory=list)
    missing: list[PhotoError] = field(default_factory=list)

    @classmethod
    def by(cls, encoders: Mapping[int, Encoder]) -> Self:
        """Nothing yet, by these encoders."""
        return cls({encoder_id: {} for encoder_id in encoders})

    def photos_of(
        self, batch: Mapping[int, Decoded | MarketlensError], hashes: Mapping[int, str]
    ) -> dict[int, Image.Image]:
        """The photos that were decoded; why others were not is noted."""
        photos = {}
        for photo_id, read in batch.items():
            if isinstance(read, NotFound):
                self.missing.append(photo_error(hashes[photo_id], read))
            elif isinstance(read, MarketlensError):
                self.unreadable.append(photo_error(hashes[photo_id], read))
            else:
                photos[photo_id], self.phashes[photo_id] = read
        return photos

    def add(self, vectors: Vectors) -> None:
        """Note vectors."""
        for encoder_id, new in vectors.items():
            self.vectors[encoder_id] |= new


def decoded(tools: EmbedTools, sha256: str) -> Decoded | MarketlensError:
    """A stored photo, or why there is none. Raises Unavailable while the store is away."""
    try:
        data = tools.store.get_stored(sha256)
        with tools.time_limit.step():
            photo = decode(data)
            return Decoded(photo, perceptual_hash(photo))
    except (InvalidInput, NotFound) as error:
        return error


def embedded_by_all(
    tools: EmbedTools, photos: Mapping[int, Image.Image], lacking: Mapping[int, set[int]]
) -> Vectors:
    """The vectors of photos by each encoder that lacks them."""
    with tools.time_limit.step():
        vectors = embed_by_all(tools.encoders, photos, lacking)
    photos_embedded("listing", len(photos))
    return vectors


def store_embedded(
    session: Session, tools: EmbedTools, payload: EmbedPayload, embedded: Embedded
) -> None:
    """Store what was computed, and what saved searches find by it."""
    for encoder_id, vectors in embedded.vectors.items():
        add_embeddings(session, encoder_id, vectors)
    set_phashes(session, embedded.phashes)
    if payload.encoder_id is None:  # else it is of a migration: its listings are not new
        tools.matcher.match_embedded(session, embedded.vectors)


def photo_error(sha256: str, error: MarketlensError) -> PhotoError:
    """Why a photo was not embedded."""
    return PhotoError(photo=sha256, code=error.code, detail=str(error))
