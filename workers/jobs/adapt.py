"""The adapt job: learns from the catalogue, and changes searches over if that finds more."""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import Final
from uuid import UUID, uuid4

from db import jobs
from db.jobs import Claim, ClaimLost
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.embeddings import count_live
from db.vectors.encoders import (
    active_encoder,
    followed_encoders,
    previous_encoder,
    retire_encoder,
)
from models.adaptation.adapted_package import SUFFIX
from models.domain.errors import InvalidInput
from models.domain.job_results import AdaptResult
from models.domain.types import EncoderStatus
from models.encoders.library import EncoderLibrary
from models.head import head_path
from workers.encoders.adapting import adapt_encoder
from workers.encoders.derivation import derivation_of
from workers.encoders.migration import Migration, activate_migrated
from workers.generations.prune import prune
from workers.jobs.heartbeat import Heartbeat
from workers.queue.executors import InlineExecutor, RunJob
from workers.queue.messages import Queue

log = logging.getLogger(__name__)

BEAT_EVERY_S: Final = 5.0

HAS_HEAD: Final = (
    "the active encoder has a category head, which another could not use: `marketlens adapt`, then "
    "`marketlens train`, changes both."
)


def run_adapt(
    claim: Claim,
    *,
    database: Database,
    store: PhotoStore,
    library: EncoderLibrary,
    generations_dir: Path,
    run_job: RunJob,
    heartbeat: Heartbeat,
    clock: Callable[[], datetime],
) -> None:
    """Do an adapt job, and end it with the encoder that was learned, or with the reason why not.

    `run_job` runs a job of this worker's queue: the index of the new vectors is built by it, as
    this job holds the queue. A killed attempt leaves the active encoder as it was; the next one
    goes on.
    """
    with _kept_alive(heartbeat):
        result = _adapt(database, store, library, generations_dir, run_job, heartbeat, clock)
    log.info("adaptation: %s", result.refusal or result.encoder)
    with database.write() as session:
        jobs.finish(session, claim, clock(), result=result, done=result.photos, total=result.photos)


def _adapt(
    database: Database,
    store: PhotoStore,
    library: EncoderLibrary,
    generations_dir: Path,
    run_job: RunJob,
    heartbeat: Heartbeat,
    clock: Callable[[], datetime],
) -> AdaptResult:
    def on_progress(step: str, done: int, total: int) -> None:
        del step
        heartbeat(done, total)

    photos = _embedded_photos(database)
    if _has_head(database, library):
        # Its classifier reads this encoder's vectors: predictions would fall back without a word.
        return AdaptResult(photos=photos, refusal=HAS_HEAD)
    try:
        adapted = adapt_encoder(database, store, library, on_progress=on_progress)
    except InvalidInput as error:  # there is too little to learn from
        return AdaptResult(photos=photos, refusal=str(error))
    gain = adapted.trial.comparison.metrics["map"].to_first[0].value
    if adapted.package is None:
        return AdaptResult(photos=photos, refusal=adapted.trial.refusal, gain=gain)
    spec = adapted.package.spec

    def wait(_: UUID) -> None:
        """Another worker embeds."""

    run = {Queue.INDEX: run_job, Queue.EMBED: wait}
    with InlineExecutor(database, lambda queue: nullcontext(run[queue]), clock) as executor:
        migration = Migration(
            database, executor, clock=clock, new_id=uuid4, on_progress=on_progress
        )
        migrated = migration.run(spec, derivation_of(library, spec))
    refusal = activate_migrated(database, migrated, clock())
    if refusal is None:
        _retire_earlier(database, generations_dir, store)
    return AdaptResult(photos=photos, encoder=spec.label, refusal=refusal, gain=gain)


def _retire_earlier(database: Database, generations_dir: Path, store: PhotoStore) -> None:
    """Retire earlier adapted encoders, but for the one that a rollback would return to."""
    with database.write() as session:
        previous = previous_encoder(session)
        earlier = [
            row.id
            for row in followed_encoders(session)
            if row.name.endswith(SUFFIX)
            and row.status is EncoderStatus.FOLLOWED
            and row is not previous
        ]
        for encoder_id in earlier:
            retire_encoder(session, encoder_id)
    prune(database, generations_dir, store, keep=0, encoder_ids=earlier)


def _has_head(database: Database, library: EncoderLibrary) -> bool:
    """Whether a category head was trained for the active encoder."""
    with database.read() as session:
        active = active_encoder(session)
    return active is not None and head_path(library.models_dir, active.spec).is_file()


def _embedded_photos(database: Database) -> int:
    with database.read() as session:
        active = active_encoder(session)
        return 0 if active is None else count_live(session, active.id)


@contextmanager
def _kept_alive(heartbeat: Heartbeat) -> Generator[None]:
    """Renew the job's lease while another job, or a long computation, runs in this thread."""
    ended = Event()

    def beat() -> None:
        while not ended.wait(BEAT_EVERY_S):
            try:
                heartbeat.renew()
            except ClaimLost:  # this thread's own beats, or the end of the job, will find it so
                return

    thread = Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
