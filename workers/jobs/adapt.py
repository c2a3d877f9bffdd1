"""The adapt job: changes to the int8 network if that is faster and as good, then to what the
catalogue teaches if that finds more.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from sqlalchemy.orm import Session

from db.jobs import attempts
from db.jobs.claiming import Claim
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.embeddings import count_live
from db.vectors.encoders import (
    active_encoder,
    find_encoder,
    followed_encoders,
    previous_encoder,
    retire_encoder,
)
from models.adaptation.adapted_package import SUFFIX
from models.domain.errors import Conflict, InvalidInput, WeightsError
from models.domain.job_results.encoders import AdaptResult
from models.domain.types import EncoderSpec, EncoderStatus, JobType, Precision
from models.encoders.library import EncoderLibrary
from models.head import head_path
from workers.encoders.adapting import adapt_encoder
from workers.encoders.derivation import derivation_of
from workers.encoders.migration import Migration, activate_migrated
from workers.encoders.quantising import NotQuantised, quantise, wants_int8
from workers.generations.prune import prune
from workers.jobs.heartbeat import Heartbeat, kept_alive
from workers.queue.executors import HeldQueueExecutor, RunJob
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher

log = logging.getLogger(__name__)

HAS_HEAD: Final = (
    "the active encoder has a category head, which another could not use: `marketlens adapt`, then "
    "`marketlens train`, changes both."
)


@dataclass(frozen=True, slots=True)
class AdaptTools:
    """What an adapt job works with.

    `run_job` runs a job of this worker's queue, which this job holds: so the index of the new
    vectors is built, and nothing that waits is delayed. `threads` are those of an export.
    """

    database: Database
    store: PhotoStore
    library: EncoderLibrary
    generations_dir: Path
    threads: int
    run_job: RunJob
    publisher: JobPublisher
    clock: Callable[[], datetime]


def run_adapt(claim: Claim, tools: AdaptTools, heartbeat: Heartbeat) -> None:
    """Do an adapt job, and end it with the encoders that were taken, or with the reasons why not.

    The network of the active encoder is exported in int8 first, if it is not; then an adaptation is
    learned. A killed attempt leaves the active encoder as it was; the next one goes on.
    """
    with kept_alive(heartbeat):
        result = _Adapting(tools, heartbeat).result()
    log.info("int8: %s", result.int8_refusal or result.int8)
    log.info("adaptation: %s", result.refusal or result.encoder)
    with tools.database.write() as session:
        attempts.finish(
            session, claim, tools.clock(), result=result, done=result.photos, total=result.photos
        )


class _Adapting:
    """One attempt at it."""

    def __init__(self, tools: AdaptTools, heartbeat: Heartbeat) -> None:
        self._tools = tools
        self._heartbeat = heartbeat

    def result(self) -> AdaptResult:
        tools = self._tools
        with tools.database.read() as session:
            active = active_encoder(session)
            photos = 0 if active is None else count_live(session, active.id)
        if active is None:
            raise Conflict("There is no active encoder yet: nothing is embedded.")
        base, int8_refusal = self._faster(active.spec)
        # Its classifier reads this encoder's vectors: predictions would fall back without a word.
        if _has_head(tools.library, active.spec):
            adapted = AdaptResult(photos=photos, refusal=HAS_HEAD)
        else:
            adapted = self._adapted(photos, base)
        with tools.database.write() as session:
            if adapted.refusal is not None:
                int8_refusal = int8_refusal or _given_up(session, tools.library, base)
            int8, replaced = _replaced(session, tools.library)
        return adapted.model_copy(
            update={"int8": int8, "int8_refusal": int8_refusal, "replaced": replaced}
        )

    def _faster(self, active: EncoderSpec) -> tuple[EncoderSpec, str | None]:
        """The network that is learned from, and why it is not an int8 one if it could have been.

        An int8 network whose float32 one is active is active then; one of an adapted encoder's base
        is embedded by, but searches wait for what is adapted from it.
        """
        tools = self._tools
        base = tools.library.base_of(active)
        is_adapted = active != base
        if is_adapted and _has_head(tools.library, active):
            return base, None
        if not wants_int8(tools.database, tools.library, base):
            return base, None
        try:
            int8 = quantise(tools.database, tools.store, tools.library, base, tools.threads)
        except NotQuantised as error:
            return base, str(error)
        migration = self._migration()
        if is_adapted:
            migration.embed(int8)
            return int8, None
        refusal = activate_migrated(
            # What is adapted from it follows, or the relay has it calibrated.
            tools.database,
            migration.run(int8, calibrates=False),
            tools.clock(),
        )
        if refusal is None:
            return int8, None
        with tools.database.write() as session:
            _retire(session, int8)
        return base, refusal

    def _adapted(self, photos: int, base: EncoderSpec) -> AdaptResult:
        """What came of the adaptation of this encoder, whose vectors are stored."""
        tools = self._tools
        try:
            adapted = adapt_encoder(
                tools.database,
                tools.store,
                tools.library,
                base_spec=base,
                on_progress=self._on_progress,
            )
        except InvalidInput as error:  # there is too little to learn from
            return AdaptResult(photos=photos, refusal=str(error))
        gain = adapted.trial.comparison.metrics["map"].to_first[0].value
        if adapted.package is None:
            return AdaptResult(photos=photos, refusal=adapted.trial.refusal, gain=gain)
        spec = adapted.package.spec
        migrated = self._migration().run(spec, derivation_of(tools.library, spec))
        refusal = activate_migrated(tools.database, migrated, tools.clock())
        if refusal is None:
            _retire_earlier(tools.database, tools.generations_dir, tools.store)
        return AdaptResult(photos=photos, encoder=spec.label, refusal=refusal, gain=gain)

    def _migration(self) -> Migration:
        tools = self._tools
        executor = HeldQueueExecutor(
            tools.database,
            Queue.INDEX,
            tools.run_job,
            tools.publisher,
            tools.clock,
            but=[JobType.ADAPT],
        )
        return Migration(
            tools.database,
            executor,
            clock=tools.clock,
            new_id=uuid4,
            on_progress=self._on_progress,
        )

    def _on_progress(self, step: str, done: int, total: int) -> None:
        del step
        self._heartbeat(done, total)


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


def _given_up(session: Session, library: EncoderLibrary, base: EncoderSpec) -> str | None:
    """Retire an int8 network that was embedded by only for what would be adapted from it."""
    active = active_encoder(session)
    is_in_use = active is not None and library.base_of(active.spec) == base
    if is_in_use or base.precision is not Precision.INT8:
        return None
    _retire(session, base)
    return f"the active encoder is adapted, and what was adapted from {base.label} was refused."


def _retire(session: Session, spec: EncoderSpec) -> None:
    row = find_encoder(session, spec)
    if row is not None:
        retire_encoder(session, row.id)


def _replaced(session: Session, library: EncoderLibrary) -> tuple[str | None, tuple[str, ...]]:
    """The int8 network that is searched with, and the encoders of its float32 one that it replaces.

    They are labels.
    """
    active = active_encoder(session)
    base = None if active is None else library.base_of(active.spec)
    if base is None or base.precision is not Precision.INT8:
        return None, ()
    followed = [row.spec for row in followed_encoders(session)]
    return base.label, tuple(spec.label for spec in followed if _is_source(library, spec, base))


def _is_source(library: EncoderLibrary, spec: EncoderSpec, int8: EncoderSpec) -> bool:
    """Whether an encoder is, or is adapted from, the float32 network of this int8 one."""
    base = library.base_of(spec)
    if base.precision is not Precision.FLOAT32 or base.name != int8.name:
        return False
    try:
        return library.int8_of(base) == int8
    except WeightsError:  # its files are not here
        return False


def _has_head(library: EncoderLibrary, spec: EncoderSpec) -> bool:
    """Whether a category head was trained for the encoder."""
    return head_path(library.models_dir, spec).is_file()
