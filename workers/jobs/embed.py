"""The embed job: stores the vectors and perceptual hashes of photos."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Final

from sqlalchemy.orm import Session

from db.catalogue.listing_photos import photo_hashes
from db.jobs import attempts
from db.jobs.claiming import Claim
from db.jobs.fetch import Failure, end_embedded
from db.vectors.embeddings import having_vector
from models.domain.errors import InvalidPhoto, Unavailable
from models.domain.job_payloads import EmbedPayload
from models.domain.job_results.embeddings import PhotoError
from models.domain.processes import be_nice
from observability import stages
from workers.jobs.embed_one_by_one import GIVEN_UP, OneByOneEmbedding
from workers.jobs.embedded_photos import (
    NICENESS,
    Embedded,
    EmbedTools,
    Vectors,
    decoded,
    embedded_by_all,
    photo_error,
    store_embedded,
)
from workers.search.query_encoder import NOTHING_TO_COMPARE

# The network keeps the cores busy: more decoding threads would take them away from it.
DECODER_THREADS: Final = 2
# Two that compute side by side take less time than one that waits for all cores.
ENCODER_THREADS: Final = 2
# Large enough for full throughput, and small enough for the first batch to be decoded soon.
BATCH_SIZE: Final = 4


def run_embed(
    claim: Claim, payload: EmbedPayload, tools: EmbedTools, heartbeat: Callable[[int, int], None]
) -> None:
    """Embed the photos by each encoder that lacks their vectors, and end the job.

    The vectors, what saved searches find by them and the end of the job are stored in one
    transaction. A photo that can't be read, or in which the first encoder finds nothing, is an
    error of its own and does not fail the others. One that is missing in the store is tried again
    later, while the others are stored.

    If an attempt at the job has broken or died, photos are embedded one by one, each stored before
    the next is begun: see `OneByOneEmbedding`. Raises Unavailable while the store is away.
    """
    photo_ids = payload.photo_ids
    with tools.database.read() as session:
        # A photo without features is embedded again, so that this job reports the error too.
        lacking = {
            encoder_id: set(photo_ids) - having_vector(session, encoder_id, photo_ids)
            for encoder_id in tools.encoders
        }
        hashes = photo_hashes(session, set().union(*lacking.values()))
    stages.lap("read")
    # Nothing is done before it is stored: beats in between renew the lease alone.
    beat = partial(heartbeat, 0, len(photo_ids))
    one_by_one = None
    if claim.tries > 1 or payload.one_by_one is not None:
        one_by_one = OneByOneEmbedding(claim, payload, tools, hashes, lacking)
        embedded = one_by_one.embed(beat)
    else:
        embedded = _embed_all(hashes, lacking, tools, beat)
    stages.lap("embed")
    with tools.database.write() as session:
        if one_by_one is not None:
            one_by_one.store_last(session)
        else:
            store_embedded(session, tools, payload, embedded)
        if embedded.missing and claim.tries < tools.max_attempts:
            _retry(session, claim, tools, embedded)
        else:
            _end(session, claim, payload, tools, embedded, hashes)
    stages.lap("store")


def _retry(session: Session, claim: Claim, tools: EmbedTools, embedded: Embedded) -> None:
    stages.end_as("retried")
    attempts.retry_later(
        session,
        claim,
        tools.clock(),
        max_attempts=tools.max_attempts,
        reason=_missing(embedded.missing),
    )


def _end(
    session: Session,
    claim: Claim,
    payload: EmbedPayload,
    tools: EmbedTools,
    embedded: Embedded,
    hashes: dict[int, str],
) -> None:
    first = next(iter(embedded.vectors.values()))
    nothing_seen = [
        photo_error(hashes[photo_id], InvalidPhoto(NOTHING_TO_COMPARE))
        for photo_id, vector in first.items()
        if not vector.any()
    ]
    with_features = {
        photo_id
        for vectors in embedded.vectors.values()
        for photo_id, vector in vectors.items()
        if vector.any()
    }
    errors = [*embedded.unreadable, *nothing_seen, *embedded.missing]
    failure = None
    given_up = [error for error in embedded.unreadable if error.code == GIVEN_UP]
    if embedded.missing:
        failure = Failure(Unavailable.code, _missing(embedded.missing))
    elif len(given_up) == len(payload.photo_ids):
        failure = Failure(GIVEN_UP, given_up[0].detail)
    if failure is not None:
        stages.end_as("failed")
    end_embedded(
        session,
        claim,
        payload,
        tools.clock(),
        embedded=len(with_features),
        errors=errors,
        failure=failure,
    )


def _missing(errors: list[PhotoError]) -> str:
    return f"Photos that are missing in the photo store: {len(errors)}."


def _embed_all(
    hashes: dict[int, str],
    lacking: dict[int, set[int]],
    tools: EmbedTools,
    beat: Callable[[], None],
) -> Embedded:
    """Read the photos, SHA-256 by id, in batches, and embed those that each encoder lacks."""
    embedded = Embedded.by(tools.encoders)
    running: deque[Future[Vectors]] = deque()

    def keep(vectors: Vectors) -> None:
        embedded.add(vectors)
        beat()

    with (
        ThreadPoolExecutor(DECODER_THREADS, "decode", be_nice, (NICENESS,)) as decoders,
        ThreadPoolExecutor(ENCODER_THREADS, "encode", be_nice, (NICENESS,)) as encoding,
    ):
        # While a network embeds some batches, the next is decoded.
        read = zip(hashes, decoders.map(partial(decoded, tools), hashes.values()), strict=True)
        while batch := dict(islice(read, BATCH_SIZE)):
            photos = embedded.photos_of(batch, hashes)
            running.append(encoding.submit(embedded_by_all, tools, photos, lacking))
            if len(running) > ENCODER_THREADS:
                keep(running.popleft().result())
        while running:
            keep(running.popleft().result())
    return embedded
