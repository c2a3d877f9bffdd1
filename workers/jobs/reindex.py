"""The reindex job: the next generation, built aside, measured, then switched to."""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy.orm import Session

from db import jobs
from db.consumption import record_consumption
from db.jobs import Claim, ClaimLost
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Encoder
from db.vectors import generations
from db.vectors.changes import last_change
from db.vectors.embeddings import Vectors, count_live, live_vectors_after
from db.vectors.encoders import active_encoder, get_encoder
from models.domain.errors import Conflict, RecallTooLow, Unavailable
from models.domain.types import EncoderStatus, GenerationStatus
from models.index.build import (
    BuildOptions,
    BuiltGeneration,
    build_generation,
    remove_generation,
)
from workers.generations.prune import prune, sweep
from workers.generations.publish import publish_generation, unpublish_generation
from workers.queue.messages import Queue

log = logging.getLogger(__name__)

BEAT_EVERY_S = 1.0


def run_reindex(
    claim: Claim,
    *,
    database: Database,
    store: PhotoStore,
    generations_dir: Path,
    recall_target: float,
    memory_bytes: int,
    keep: int,
    lease: timedelta,
    clock: Callable[[], datetime],
) -> None:
    """Build a generation of all live vectors and make it live, unless it is worse than wanted.

    The vectors are the active encoder's, or those of the encoder that the job names; the job may
    name a `factory` and a `recall_target` too. Before it is live it is published, for machines that
    see the store but not `generations_dir`. Searches go on with the generation before. Whatever a
    killed build left is cleared first.
    """
    _clear_abandoned(database)
    sweep(database, generations_dir, store)
    with database.write() as session:
        encoder = encoder_to_index(session, claim.payload)
        # The number comes before the vectors are read: a change in between is read twice, which
        # does no harm, instead of never.
        contained = last_change(session)
        generation_id = generations.begin(session, encoder.id, claim.job_id, clock()).id
        total = count_live(session, encoder.id)

    beaten_at = float("-inf")

    def heartbeat(rows: int) -> None:
        nonlocal beaten_at
        if monotonic() - beaten_at < BEAT_EVERY_S:
            return
        beaten_at = monotonic()
        try:
            with database.write() as session:
                jobs.heartbeat(session, claim, clock(), lease, done=rows, total=max(rows, total))
                # A build takes no probes while it runs, but its queue is consumed all the same.
                record_consumption(session, Queue.INDEX, clock(), None)
        except Unavailable as error:  # the lease outlives a few missed beats, and so may the build
            log.warning("generation %s goes on without a heartbeat: %s", generation_id, error)

    target = generations_dir / str(generation_id)
    try:
        built = build_generation(
            target,
            _batches(database, encoder.id),
            encoder=encoder.spec,
            last_change=contained,
            created_at=clock(),
            recall_target=claim.payload.get("recall_target", recall_target),
            options=BuildOptions(claim.payload.get("factory"), memory_bytes),
            heartbeat=heartbeat,
        )
        rows = built.manifest.rows
        publish_generation(store, target, generation_id, lambda: heartbeat(rows))
        _switch(database, claim, generation_id, built, clock())
    except RecallTooLow as error:
        _end(database, generation_id, GenerationStatus.REFUSED, str(error))
        raise
    except Exception as error:
        reason = "another attempt took over" if isinstance(error, ClaimLost) else str(error)
        # Not if it is live after all: a commit may arrive although its acknowledgement does not.
        if _end(database, generation_id, GenerationStatus.FAILED, reason):
            _discard(store, target, generation_id)
        raise
    pruned = prune(database, generations_dir, store, keep=keep, encoder_ids=[encoder.id])
    if pruned.swept.held:
        log.info("still open, to be removed later: generations %s", pruned.swept.held)


def encoder_to_index(session: Session, payload: dict[str, Any]) -> Encoder:
    """Whose vectors a reindex job is about. Raises Conflict if there is none, or it was retired."""
    if "encoder_id" not in payload:
        active = active_encoder(session)
        if active is None:
            raise Conflict("There is no active encoder to build an index for.")
        return active
    encoder = get_encoder(session, payload["encoder_id"])
    if encoder.status is EncoderStatus.RETIRED:
        raise Conflict(f"{encoder.spec.label} was retired.")
    return encoder


def _batches(database: Database, encoder_id: int) -> Iterator[Vectors]:
    """Every live vector; each batch is a transaction of its own, however long the build takes."""
    after = 0
    while True:
        with database.read() as session:
            ids, vectors = live_vectors_after(session, encoder_id, after)
        if not len(ids):
            return
        after = int(ids[-1])
        yield ids, vectors


def _switch(
    database: Database, claim: Claim, generation_id: int, built: BuiltGeneration, now: datetime
) -> None:
    """Make the generation live and end the job, as one."""
    manifest = built.manifest
    measured: dict[str, Any] = {
        "factory": manifest.factory,
        "rows": manifest.rows,
        "last_change": manifest.last_change,
        "recall_at_10": manifest.recall_at_10,
        "p50_ms": manifest.p50_ms,
        "bytes": manifest.bytes,
    }
    result = measured | {
        "generation": generation_id,
        "why": manifest.why,
        "effort": manifest.effort,
        "candidates": manifest.candidates,
        "queries": manifest.queries,
        "p95_ms": manifest.p95_ms,
    }
    with database.write() as session:
        jobs.finish(
            session,
            claim,
            now,
            result=result,
            done=manifest.rows,
        )
        generations.activate(
            session, generation_id, now, manifest_sha256=built.manifest_sha256, **measured
        )


def _end(database: Database, generation_id: int, status: GenerationStatus, error: str) -> bool:
    with database.write() as session:
        return generations.end(session, generation_id, status, error)


def _discard(store: PhotoStore, folder: Path, generation_id: int) -> None:
    """Remove what was built for nothing; what can't be removed now, a later sweep finds."""
    with suppress(Unavailable):
        unpublish_generation(store, generation_id)
    remove_generation(folder)


def _clear_abandoned(database: Database) -> None:
    with database.write() as session:
        for row in generations.abandoned(session):
            generations.end(
                session, row.id, GenerationStatus.FAILED, "its worker ended before it did"
            )
