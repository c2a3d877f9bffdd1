"""Embeds the photos of saved searches, by each encoder that photos of listings are embedded by."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from db.saved_searches.vectors import (
    Embedded,
    Unembedded,
    store_saved_vectors,
    unembedded_searches,
)
from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.errors import MarketlensError, Unavailable
from models.domain.processes import be_nice
from models.encoders.encoder import Encoder
from workers.search.query import Query, query_of
from workers.search.query_encoder import QueryEncoder
from workers.search.stopwatch import Stopwatch

log = logging.getLogger(__name__)

SEARCHES_AT_ONCE: Final = 16
PHOTOS_AT_ONCE: Final = 4
NICENESS: Final = 15
"""Of the thread that embeds them: somebody waits for a search."""


@dataclass(frozen=True, slots=True)
class _Embedder:
    """An encoder as `QueryEncoder` takes it."""

    encoder_id: int
    encoder: Encoder
    batch: int = PHOTOS_AT_ONCE


def embed_saved_searches(
    database: Database, store: PhotoStore, encoders: Mapping[int, Encoder], limit: int
) -> int:
    """Embed up to `limit` saved searches by each of the encoders, by id, that has yet to do so.

    Returns how many. One that can't be embedded is stored with the reason. Raises Unavailable.
    """
    done = 0
    with ThreadPoolExecutor(1, "saved", be_nice, (NICENESS,)) as nicely:
        for encoder_id, encoder in encoders.items():
            left = limit
            while left > 0:
                with database.read() as session:
                    some = unembedded_searches(session, encoder_id, min(left, SEARCHES_AT_ONCE))
                if not some:
                    break
                embedder = _Embedder(encoder_id, encoder)
                embedded = nicely.submit(_embedded, database, store, embedder, some).result()
                with database.write() as session:
                    store_saved_vectors(session, encoder_id, embedded)
                left -= len(some)
                done += len(some)
    return done


def _embedded(
    database: Database, store: PhotoStore, embedder: _Embedder, searches: Sequence[Unembedded]
) -> dict[int, Embedded]:
    """The vectors of saved searches, by number, or why they have none."""
    queries = {one.number: query_of(one.payload, one.listing_photos) for one in searches}
    photos = [photo for query in queries.values() for photo in query.photos]
    encoder = QueryEncoder(store, embedder)
    with database.read() as session:
        encoder.look_up(session, photos)
    encoder.embed(photos, Stopwatch())
    return {number: _vectors_of(encoder, query) for number, query in queries.items()}


def _vectors_of(encoder: QueryEncoder, query: Query) -> Embedded:
    try:
        return encoder.queries_of(query)
    except Unavailable:
        raise
    except MarketlensError as error:
        log.warning("a saved search can't be embedded by %s: %s", encoder.spec.label, error)
        return error
    except Exception as error:
        # It is tried before jobs that have nothing to do with it: they must not fail with it.
        log.exception("a saved search can't be embedded by %s", encoder.spec.label)
        return MarketlensError(f"{type(error).__name__}, see the worker's log.")
