"""The embed job: stores the vectors and perceptual hashes of photos."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from db.catalogue.listing_photos import photo_hashes
from db.catalogue.perceptual_hashes import set_phashes
from db.jobs.claiming import Claim
from db.jobs.fetch import end_embedded
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.embeddings import add_embeddings, having_vector
from models.adaptation.adapted_encoder import embed_by_all
from models.domain.errors import InvalidInput, InvalidPhoto, MarketlensError, NotFound
from models.domain.job_payloads import EmbedPayload
from models.domain.job_results.embeddings import PhotoError
from models.domain.processes import be_nice
from models.encoders.encoder import Encoder
from models.near_duplicates import perceptual_hash
from models.photo_decoding import decode
from observability import stages
from observability.metrics import photos_embedded
from workers.saved_searches.matching import SavedSearchMatcher
from workers.search.query_encoder import NOTHING_TO_COMPARE

# The network keeps the cores busy: more decoding threads would take them away from it.
DECODER_THREADS: Final = 2
# Two that compute side by side take less time than one that waits for all cores.
ENCODER_THREADS: Final = 2
NICENESS: Final = 15
"""Of the threads that decode and encode: somebody waits for a search."""
# Large enough for full throughput, and small enough for the first batch to be decoded soon.
BATCH_SIZE: Final = 4


class Decoded(NamedTuple):
    """A photo, and its perceptual hash."""

    photo: Image.Image
    phash: int


@dataclass(frozen=True, slots=True)
class Embedded:
    """What was computed of a job's photos, by their ids.

    `vectors` has the new vectors (dimension,) of each encoder, which are zero where it finds
    nothing to compare; `unreadable` are the SHA-256 of photos without a hash, and why.
    """

    vectors: dict[int, dict[int, NDArray[np.float32]]]
    phashes: dict[int, int]
    unreadable: list[PhotoError]


def run_embed(
    claim: Claim,
    payload: EmbedPayload,
    *,
    database: Database,
    store: PhotoStore,
    encoders: dict[int, Encoder],
    matcher: SavedSearchMatcher,
    heartbeat: Callable[[int, int], None],
    clock: Callable[[], datetime],
) -> None:
    """Embed the photos by each encoder that lacks their vectors, and end the job.

    The vectors, what saved searches find by them and the end of the job are stored in one
    transaction. A photo that can't be read, or in which the first encoder finds nothing, is an
    error of its own and does not fail the others.
    """
    photo_ids = payload.photo_ids
    with database.read() as session:
        # A photo without features is embedded again, so that this job reports the error too.
        lacking = {
            encoder_id: set(photo_ids) - having_vector(session, encoder_id, photo_ids)
            for encoder_id in encoders
        }
        hashes = photo_hashes(session, set().union(*lacking.values()))
    stages.lap("read")
    # Nothing is done before it is stored; the beats between batches renew the lease alone.
    beat = partial(heartbeat, 0, len(photo_ids))
    embedded = _embed_all(hashes, lacking, encoders, store, beat)
    stages.lap("embed")
    first = next(iter(embedded.vectors.values()))
    errors = embedded.unreadable + [
        _error(hashes[photo_id], InvalidPhoto(NOTHING_TO_COMPARE))
        for photo_id, vector in first.items()
        if not vector.any()
    ]
    with_features = {
        photo_id
        for vectors in embedded.vectors.values()
        for photo_id, vector in vectors.items()
        if vector.any()
    }
    with database.write() as session:
        end_embedded(session, claim, payload, clock(), embedded=len(with_features), errors=errors)
        for encoder_id, vectors in embedded.vectors.items():
            add_embeddings(session, encoder_id, vectors)
        set_phashes(session, embedded.phashes)
        if payload.encoder_id is None:  # else it is of a migration: its listings are not new
            matcher.match_embedded(session, embedded.vectors)
    stages.lap("store")


def _embed_all(
    hashes: dict[int, str],
    lacking: dict[int, set[int]],
    encoders: dict[int, Encoder],
    store: PhotoStore,
    beat: Callable[[], None],
) -> Embedded:
    """Read the photos, SHA-256 by id, in batches, and embed those that each encoder lacks."""
    embedded = Embedded({encoder_id: {} for encoder_id in encoders}, {}, [])
    running: deque[Future[dict[int, dict[int, NDArray[np.float32]]]]] = deque()

    def keep(vectors_of: dict[int, dict[int, NDArray[np.float32]]]) -> None:
        photos_embedded("listing", max(map(len, vectors_of.values()), default=0))
        for encoder_id, vectors in vectors_of.items():
            embedded.vectors[encoder_id] |= vectors
        beat()

    with (
        ThreadPoolExecutor(DECODER_THREADS, "decode", be_nice, (NICENESS,)) as decoders,
        ThreadPoolExecutor(ENCODER_THREADS, "encode", be_nice, (NICENESS,)) as encoding,
    ):
        # While a network embeds some batches, the next is decoded.
        decoded = zip(hashes, decoders.map(partial(_decoded, store), hashes.values()), strict=True)
        while batch := dict(islice(decoded, BATCH_SIZE)):
            photos = {}
            for photo_id, read in batch.items():
                if isinstance(read, MarketlensError):
                    embedded.unreadable.append(_error(hashes[photo_id], read))
                else:
                    photos[photo_id], embedded.phashes[photo_id] = read
            running.append(encoding.submit(embed_by_all, encoders, photos, lacking))
            if len(running) > ENCODER_THREADS:
                keep(running.popleft().result())
        while running:
            keep(running.popleft().result())
    return embedded


def _decoded(store: PhotoStore, sha256: str) -> Decoded | MarketlensError:
    try:
        photo = decode(store.get(sha256))
    except (InvalidInput, NotFound) as error:
        return error
    return Decoded(photo, perceptual_hash(photo))


def _error(sha256: str, error: MarketlensError) -> PhotoError:
    return PhotoError(photo=sha256, code=error.code, detail=str(error))
