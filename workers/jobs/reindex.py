"""The reindex job: the next generation is built beside the live one, measured, and made live."""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from db.jobs import attempts
from db.jobs.attempts import ClaimLost
from db.jobs.claiming import Claim
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Encoder
from db.vectors import generations
from db.vectors.changes import last_change
from db.vectors.embeddings import count_live, live_vectors
from db.vectors.encoders import active_encoder, get_encoder
from models.domain.errors import Conflict, RecallTooLow, Unavailable
from models.domain.job_payloads import ReindexPayload
from models.domain.job_results.indexes import BuiltIndex
from models.domain.types import EncoderStatus, GenerationStatus
from models.index.build import (
    BuildOptions,
    BuiltGeneration,
    build_generation,
    remove_generation,
)
from observability import stages
from workers.config import IndexSettings
from workers.generations.prune import prune, remove_unused_files
from workers.generations.publish import publish_generation, unpublish_generation
from workers.jobs.heartbeat import Heartbeat

log = logging.getLogger(__name__)


def run_reindex(
    claim: Claim,
    payload: ReindexPayload,
    *,
    database: Database,
    store: PhotoStore,
    settings: IndexSettings,
    heartbeat: Heartbeat,
    clock: Callable[[], datetime],
) -> None:
    """Build a generation of all live vectors and make it live, unless its recall is too low.

    The vectors are the active encoder's, or those of the encoder that the job names. Before it is
    live it is published, for machines that see the store but not the folder of generations.
    Searches go on with the generation before. What a killed build left is removed first.
    """
    _end_abandoned(database)
    remove_unused_files(database, settings.generations_dir, store)
    with database.write() as session:
        encoder = encoder_to_index(session, payload)
        # The number is read before the vectors: a change in between is applied twice, which is
        # idempotent, and never missed.
        contained = last_change(session)
        generation_id = generations.begin(session, encoder.id, claim.job_id, clock()).id
        total = count_live(session, encoder.id)
    stages.lap("prepare")
    folder = settings.generations_dir / str(generation_id)
    with _ended_unless_live(database, store, folder, generation_id):
        built = build_generation(
            folder,
            live_vectors(database.read, encoder.id),
            encoder=encoder.spec,
            last_change=contained,
            created_at=clock(),
            recall_target=payload.recall_target or settings.recall_target,
            options=BuildOptions(payload.factory, settings.memory_bytes),
            heartbeat=lambda rows: heartbeat(rows, total),
        )
        stages.lap("build")
        rows = built.manifest.rows
        publish_generation(store, folder, generation_id, lambda: heartbeat(rows, rows))
        stages.lap("publish")
        _make_live(database, claim, generation_id, built, clock())
    stages.lap("activate")
    pruned = prune(
        database,
        settings.generations_dir,
        store,
        keep=settings.keep,
        encoder_ids=[encoder.id],
    )
    stages.lap("prune")
    if pruned.files.held:
        log.info("still open, to be removed later: generations %s", pruned.files.held)


def encoder_to_index(session: Session, payload: ReindexPayload) -> Encoder:
    """Whose vectors a reindex job is about. Raises Conflict if there is none, or it was retired."""
    if payload.encoder_id is None:
        active = active_encoder(session)
        if active is None:
            raise Conflict("There is no active encoder to build an index for.")
        return active
    encoder = get_encoder(session, payload.encoder_id)
    if encoder.status is EncoderStatus.RETIRED:
        raise Conflict(f"{encoder.spec.label} was retired.")
    return encoder


@contextmanager
def _ended_unless_live(
    database: Database, store: PhotoStore, folder: Path, generation_id: int
) -> Generator[None]:
    """Record in its row why a generation did not become live, and remove its files."""
    try:
        yield
    except RecallTooLow as error:
        _end(database, generation_id, GenerationStatus.REFUSED, str(error))
        raise
    except Exception as error:
        reason = "another attempt took over" if isinstance(error, ClaimLost) else str(error)
        # Not if it is live after all: a commit may succeed although its acknowledgement is lost.
        if _end(database, generation_id, GenerationStatus.FAILED, reason):
            _discard(store, folder, generation_id)
        raise


def _make_live(
    database: Database, claim: Claim, generation_id: int, built: BuiltGeneration, now: datetime
) -> None:
    """Make the generation live and end the job, in one transaction."""
    manifest = built.manifest
    result = BuiltIndex(
        generation=generation_id,
        factory=manifest.factory,
        why=manifest.why,
        rows=manifest.rows,
        last_change=manifest.last_change,
        effort=manifest.effort,
        candidates=manifest.candidates,
        recall_at_10=manifest.recall_at_10,
        queries=manifest.queries,
        p50_ms=manifest.p50_ms,
        p95_ms=manifest.p95_ms,
        bytes=manifest.bytes,
    )
    with database.write() as session:
        attempts.finish(session, claim, now, result=result, done=manifest.rows, total=manifest.rows)
        generations.activate(
            session,
            generation_id,
            now,
            factory=manifest.factory,
            rows=manifest.rows,
            last_change=manifest.last_change,
            recall_at_10=manifest.recall_at_10,
            p50_ms=manifest.p50_ms,
            bytes=manifest.bytes,
            manifest_sha256=built.manifest_sha256,
        )


def _end(database: Database, generation_id: int, status: GenerationStatus, error: str) -> bool:
    with database.write() as session:
        return generations.end(session, generation_id, status, error)


def _discard(store: PhotoStore, folder: Path, generation_id: int) -> None:
    """Remove the files; `remove_unused_files` later removes what can't be removed now."""
    with suppress(Unavailable):
        unpublish_generation(store, generation_id)
    remove_generation(folder)


def _end_abandoned(database: Database) -> None:
    with database.write() as session:
        for row in generations.abandoned(session):
            generations.end(
                session, row.id, GenerationStatus.FAILED, "its worker ended before it did"
            )
