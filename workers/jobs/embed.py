"""The embed job: photos in, vectors and perceptual hashes in the database."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from db import jobs
from db.catalogue.listing_photos import photo_hashes
from db.catalogue.perceptual_hashes import set_phashes
from db.jobs import Claim
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.embeddings import add_embeddings, having_vector
from models.domain.errors import InvalidInput, InvalidPhoto, MarketlensError, NotFound
from models.domain.job_payloads import EmbedPayload
from models.domain.job_results import EmbedResult, PhotoError
from models.encoders.encoder import Encoder
from models.near_duplicates import perceptual_hash
from models.photos import decode
from workers.search.query_encoder import NOTHING_SEEN

# A network keeps the cores busy: more decoders than this would only take them away from it.
DECODERS: Final = 2
# Enough for a network to be as fast as it gets, and few, so that it starts soon.
AT_ONCE: Final = 8


class Decoded(NamedTuple):
    """A photo, and its perceptual hash."""

    photo: Image.Image
    phash: int


def run_embed(
    claim: Claim,
    payload: EmbedPayload,
    *,
    database: Database,
    store: PhotoStore,
    encoders: dict[int, Encoder],
    clock: Callable[[], datetime],
) -> None:
    """Embed the photos by each encoder, where it has made no vector; all of it and the end as one.

    A photo that can't be read, or in which the first encoder finds nothing, is an error of its own
    and does not fail the others.
    """
    photo_ids = payload.photo_ids
    with database.read() as session:
        # Where nothing was found before, it is looked for again: whoever asks is told so.
        lacking = {
            encoder_id: set(photo_ids) - having_vector(session, encoder_id, photo_ids)
            for encoder_id in encoders
        }
        hashes = photo_hashes(session, set().union(*lacking.values()))
    unreadable: list[PhotoError] = []
    phashes: dict[int, int] = {}
    made: dict[int, dict[int, NDArray[np.float32]]] = {encoder_id: {} for encoder_id in encoders}
    with ThreadPoolExecutor(DECODERS, "decode") as pool:
        # While a network runs, the photos after its own are decoded.
        decoded = zip(hashes, pool.map(partial(_decoded, store), hashes.values()), strict=True)
        while batch := dict(islice(decoded, AT_ONCE)):
            photos = {}
            for photo_id, read in batch.items():
                if isinstance(read, MarketlensError):
                    unreadable.append(_error(hashes[photo_id], read))
                else:
                    photos[photo_id], phashes[photo_id] = read
            for encoder_id, encoder in encoders.items():
                made[encoder_id] |= _embed(encoder, photos, lacking[encoder_id])
    first = next(iter(made.values()))
    errors = unreadable + [
        _error(hashes[photo_id], InvalidPhoto(NOTHING_SEEN))
        for photo_id, vector in first.items()
        if not vector.any()
    ]
    seen = {
        photo_id
        for vectors in made.values()
        for photo_id, vector in vectors.items()
        if vector.any()
    }
    with database.write() as session:
        jobs.finish(
            session,
            claim,
            clock(),
            result=EmbedResult(embedded=len(seen), errors=tuple(errors)),
            done=len(photo_ids) - len(errors),
            failed=len(errors),
        )
        for encoder_id, vectors in made.items():
            add_embeddings(session, encoder_id, vectors)
        set_phashes(session, phashes)


def _embed(
    encoder: Encoder, photos: dict[int, Image.Image], wanted: set[int]
) -> dict[int, NDArray[np.float32]]:
    chosen = {photo_id: photo for photo_id, photo in photos.items() if photo_id in wanted}
    return dict(zip(chosen, encoder.embed(list(chosen.values())), strict=True))


def _decoded(store: PhotoStore, sha256: str) -> Decoded | MarketlensError:
    try:
        photo = decode(store.get(sha256))
    except (InvalidInput, NotFound) as error:
        return error
    return Decoded(photo, perceptual_hash(photo))


def _error(sha256: str, error: MarketlensError) -> PhotoError:
    return PhotoError(photo=sha256, code=error.code, detail=str(error))
