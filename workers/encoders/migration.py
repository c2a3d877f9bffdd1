"""Migration from one encoder to another, while searches go on.

The new encoder is followed first, so that new photos are embedded by both; then the older photos
are embedded, an index is built, and both encoders are compared. All progress is in the database: a
migration that was killed at any moment resumes when it is run again.
"""

from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from uuid import UUID

from sqlalchemy.orm import Session

from db.id_set import IdSet
from db.jobs import accepting, reading
from db.jobs.embed import PHOTOS_PER_JOB, accept_embed_jobs
from db.saved_searches.searches import any_unembedded
from db.session import Database
from db.tables import Encoder, Generation, Job
from db.vectors import generations
from db.vectors.embeddings import (
    OpenEmbedJob,
    count_live,
    open_embed_jobs,
    photos_lacking,
    photos_to_embed,
)
from db.vectors.encoders import (
    activate_encoder,
    active_encoder,
    follow_encoder,
    get_encoder,
    register_encoder,
)
from models.domain.errors import Conflict, ReindexRunning, Unavailable
from models.domain.job_payloads import CalibratePayload, ReindexPayload
from models.domain.job_results.embeddings import MatchResult
from models.domain.types import EncoderSpec, JobStatus
from models.matching.labels import stored_calibration
from workers.encoders.auto_calibrate import GROWTH, MIN_PHOTOS
from workers.encoders.comparison import Comparison, compare
from workers.encoders.derivation import Derivation, derive_vectors
from workers.generations.request import accept_reindex
from workers.queue.executors import JobExecutor
from workers.queue.messages import Queue
from workers.saved_searches.due import accept_match

# An index that lacks a greater share of the photos is rebuilt: those are searched by brute force.
FRESH_SHARE = 0.1

OnProgress = Callable[[str, int, int], None]
"""Called with a step, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """An encoder that can be activated now, unless `failed` photos prevent it.

    `embedded` and `failed` count this run's photos. Without a `baseline` there was no other active
    encoder to compare with.
    """

    encoder: Encoder
    baseline: Encoder | None
    embedded: int
    failed: int
    generation: Generation
    comparison: Comparison | None


class Migration:
    """Prepares one encoder to be activated; `executor` runs the jobs."""

    def __init__(
        self,
        database: Database,
        executor: JobExecutor,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
        on_progress: OnProgress,
    ) -> None:
        self._database = database
        self._executor = executor
        self._clock = clock
        self._new_id = new_id
        self._on_progress = on_progress
        self._tried = IdSet()
        self._embedded = self._failed = 0

    def run(
        self, spec: EncoderSpec, derivation: Derivation | None = None, *, calibrates: bool = True
    ) -> Migrated:
        """Follow, embed, index, compare, calibrate; steps that are done already are skipped.

        With a `derivation`, photos that its base has embedded are not embedded again. Raises
        Conflict when one of its jobs fails, but for the calibration: match labels may come later.
        """
        encoder = self._follow(spec)
        with self._database.read() as session:
            active = active_encoder(session)
        baseline = None if active is None or active.id == encoder.id else active
        if derivation is not None:
            on_progress = partial(self._on_progress, "adapting")
            self._embedded += derive_vectors(self._database, encoder.id, derivation, on_progress)
        # First also the photos of open jobs: one that began before this encoder was followed
        # leaves it out. A vector that two jobs compute is stored once.
        self._embed(encoder.id, photos_lacking)
        generation = self._index(encoder.id)
        comparison = self._compare(encoder, baseline) if baseline else None
        if calibrates:
            self._calibrate(encoder.id)
        # Photos of listings that were restored meanwhile, which have no job of their own.
        self._embed(encoder.id, photos_to_embed)
        self._embed_saved_searches(encoder)
        embedded, failed = self._embedded, self._failed
        return Migrated(encoder, baseline, embedded, failed, generation, comparison)

    def embed(self, spec: EncoderSpec) -> None:
        """Follow and embed only. Raises Conflict when one of its jobs fails."""
        self._embed(self._follow(spec).id, photos_lacking)

    def _follow(self, spec: EncoderSpec) -> Encoder:
        with self._database.write() as session:
            return follow_encoder(session, register_encoder(session, spec, self._clock()))

    def _embed(self, encoder_id: int, wanted: Callable[[Session, int], AbstractSet[int]]) -> None:
        """Embed photos, each at most once, and wait for the jobs of an earlier run."""
        with self._database.read() as session:
            begun = [job for job in open_embed_jobs(session) if job.encoder_id == encoder_id]
            photo_ids = wanted(session, encoder_id)
        for job in begun:
            self._tried.update(job.photo_ids)
        left = [photo_id for photo_id in photo_ids if photo_id not in self._tried]
        self._tried.update(left)
        self._queue_gradually(encoder_id, left, begun)

    def _queue_gradually(
        self, encoder_id: int, photo_ids: Collection[int], begun: Sequence[OpenEmbedJob]
    ) -> None:
        """Queue a few jobs at a time, so that no new listing waits behind a whole catalogue."""
        left = iter(photo_ids)
        total = len(photo_ids) + sum(len(job.photo_ids) for job in begun)
        done = 0
        still_open = [job.id for job in begun]
        # One that runs, and one that follows it.
        wanted = 2
        while True:
            still_open += self._accept(encoder_id, list(islice(left, wanted * PHOTOS_PER_JOB)))
            if not still_open:
                return
            self._executor.step(Queue.EMBED, still_open)
            current = self._read_jobs(still_open)
            ended = [job for job in current if job.status.terminal]
            for job in ended:
                # Photos that are missing in the store are no reason to stay with the old encoder.
                if job.error_code != Unavailable.code:
                    _refuse_failed(job)
                self._embedded += job.done
                self._failed += job.total - job.done
                done += job.total
            still_open = [job.id for job in current if not job.status.terminal]
            waiting = sum(job.status is JobStatus.QUEUED for job in current)
            # Twice as many as ended since the last poll, so that workers always have some.
            wanted = max(0, 1 + 2 * len(ended) - waiting)
            self._on_progress("embedding", done, total)

    def _accept(self, encoder_id: int, photo_ids: list[int]) -> list[UUID]:
        if not photo_ids:
            return []
        with self._database.write() as session:
            accepted = accept_embed_jobs(
                session,
                photo_ids,
                now=self._clock(),
                new_id=self._new_id,
                encoder_id=encoder_id,
            )
        self._executor.submit(accepted)
        return [job.id for job in accepted]

    def _embed_saved_searches(self, encoder: Encoder) -> None:
        """Have those embedded that are left, so that none stops matching."""
        while self._lacks_saved_searches(encoder):
            with self._database.write() as session:
                job = accept_match(session, job_id=self._new_id(), now=self._clock())
            self._executor.submit([job])
            ended = self._until_ended(job, Queue.EMBED, "saved searches")
            _refuse_failed(ended)
            embedded = MatchResult.model_validate(ended.result).embedded
            if not embedded and self._lacks_saved_searches(encoder):
                raise Conflict(f"No embed worker has the files of {encoder.spec.label}.")

    def _lacks_saved_searches(self, encoder: Encoder) -> bool:
        with self._database.read() as session:
            return any_unembedded(session, encoder.id)

    def _index(self, encoder_id: int) -> Generation:
        """The live generation, built unless there is one that holds most photos."""
        while True:
            with self._database.read() as session:
                live = generations.live(session, encoder_id)
                photos = count_live(session, encoder_id)
                job = generations.open_reindex(session)
            if live is not None and (live.rows or 0) >= photos * (1 - FRESH_SHARE):
                return live
            # There is one build at a time: another's is waited for.
            job = job or self._request_index(encoder_id)
            ended = self._until_ended(job, Queue.INDEX, "index")
            if ReindexPayload.parse(ended.payload).encoder_id == encoder_id:
                _refuse_failed(ended)

    def _request_index(self, encoder_id: int) -> Job:
        payload = ReindexPayload(encoder_id=encoder_id)
        while True:
            try:
                job = accept_reindex(
                    self._database, job_id=self._new_id(), now=self._clock(), payload=payload
                )
            except ReindexRunning:
                with self._database.read() as session:
                    other = generations.open_reindex(session)
                if other is not None:
                    return other
            else:
                self._executor.submit([job])
                return job

    def _calibrate(self, encoder_id: int) -> None:
        """Before searches change to it, so that results go on having match labels."""
        with self._database.read() as session:
            encoder = get_encoder(session, encoder_id)
            photos = count_live(session, encoder_id)
        calibration = stored_calibration(encoder.matching)
        calibrated = 0 if calibration is None else calibration.photos
        if photos < max(MIN_PHOTOS, GROWTH * calibrated):
            return
        with self._database.write() as session:
            payload = CalibratePayload(encoder_id=encoder_id)
            job = accepting.accept(session, payload, job_id=self._new_id(), now=self._clock())
        self._executor.submit([job])
        self._until_ended(job, Queue.INDEX, "calibrating")

    def _until_ended(self, job: Job, queue: Queue, step: str) -> Job:
        while not job.status.terminal:
            self._executor.step(queue, [job.id])
            (job,) = self._read_jobs([job.id])
            self._on_progress(step, job.done, max(job.total, job.done, 1))
        return job

    def _read_jobs(self, job_ids: Sequence[UUID]) -> list[Job]:
        with self._database.read() as session:
            return [reading.get(session, job_id) for job_id in job_ids]

    def _compare(self, encoder: Encoder, baseline: Encoder) -> Comparison | None:
        """Compare, and store the comparison with the encoder."""

        def on_progress(done: int, total: int) -> None:
            self._on_progress("comparing", done, total)

        compared = compare(self._database, encoder, baseline, on_progress)
        if compared is not None:
            with self._database.write() as session:
                get_encoder(session, encoder.id).comparison = compared.to_json()
        return compared


def activate_migrated(
    database: Database, migrated: Migrated, now: datetime, *, force: bool = False
) -> str | None:
    """Search with the migrated encoder; gives the reason if that is refused."""
    compared = migrated.comparison
    if compared and compared.is_worse and not force:
        return (
            f"{compared.encoder} finds less than {compared.baseline}, by more than chance "
            "explains; it is kept up to date, but not activated. Use --force to activate it all "
            f"the same, or `marketlens encoder retire {compared.encoder}`."
        )
    try:
        with database.write() as session:
            activate_encoder(session, migrated.encoder.id, now, force=force)
    except Conflict as error:
        return str(error)
    return None


def _refuse_failed(job: Job) -> None:
    if job.status is not JobStatus.SUCCEEDED:
        detail = job.error_detail or f"it was {job.status}."
        raise Conflict(f"A job of the migration has not succeeded: {detail} Run it again to go on.")
