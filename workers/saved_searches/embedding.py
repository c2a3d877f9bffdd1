"""Embeds the photos of saved searches, by each encoder that photos of listings are embedded by."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np

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


@dataclass(frozen=True, slots=True)
class SavedEmbedded:
    """How many saved searches were embedded, and why others could not be now, if any."""

    count: int
    unavailable: Unavailable | None = None


def embed_saved_searches(
    database: Database, store: PhotoStore, encoders: Mapping[int, Encoder], limit: int
) -> SavedEmbedded:
    """Embed up to `limit` saved searches by each of the encoders, by id, that has yet to do so.

    One that can't be embedded is stored with the reason; one whose photos can't be read now waits.
    One for words alone is stored without vectors.
    """
    done = 0
    unavailable: Unavailable | None = None
    with ThreadPoolExecutor(1, "saved", be_nice, (NICENESS,)) as nicely:
        for encoder_id, encoder in encoders.items():
            embedder, waiting = _Embedder(encoder_id, encoder), set[int]()
            for some in _batches(database, encoder_id, limit, waiting):
                embedded, why = nicely.submit(_embedded, database, store, embedder, some).result()
                with database.write() as session:
                    store_saved_vectors(session, encoder_id, embedded)
                waiting |= {one.number for one in some} - embedded.keys()
                done += len(embedded)
                unavailable = why or unavailable
    return SavedEmbedded(done, unavailable)


def _batches(
    database: Database, encoder_id: int, limit: int, waiting: Collection[int]
) -> Iterator[list[Unembedded]]:
    """Up to `limit` of those to embed, but for those that were found to have to wait."""
    for first in range(0, limit, SEARCHES_AT_ONCE):
        most = min(SEARCHES_AT_ONCE, limit - first) + len(waiting)
        with database.read() as session:
            some = unembedded_searches(session, encoder_id, most)
        left = [one for one in some if one.number not in waiting]
        if not left:
            return
        yield left


def _embedded(
    database: Database, store: PhotoStore, embedder: _Embedder, searches: Sequence[Unembedded]
) -> tuple[dict[int, Embedded], Unavailable | None]:
    """The vectors of saved searches, by number, or why they have none.

    Those whose photos can't be read now are left out, with the reason of one.
    """
    encoder = QueryEncoder(store, embedder)
    embedded: dict[int, Embedded] = {}
    queries: dict[int, Query] = {}
    for one in searches:
        if not one.payload.positive:
            embedded[one.number] = np.empty((0, embedder.encoder.spec.dimension), np.float32)
            continue
        try:
            queries[one.number] = query_of(one.payload, one.listing_photos)
        except MarketlensError as error:
            embedded[one.number] = error
    photos = [photo for query in queries.values() for photo in query.photos]
    with database.read() as session:
        encoder.look_up(session, photos)
    encoder.embed(photos, Stopwatch())
    unavailable: Unavailable | None = None
    for number, query in queries.items():
        try:
            embedded[number] = _vectors_of(encoder, query)
        except Unavailable as error:
            # It is tried again later, and keeps no other from being embedded.
            unavailable = error
    return embedded, unavailable


def _vectors_of(encoder: QueryEncoder, query: Query) -> Embedded:
    """The vectors, or why there are none. Raises Unavailable."""
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
