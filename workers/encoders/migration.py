"""From one encoder to another, while searches go on.

The encoder is followed first, so that whatever comes is embedded by both; then what was there
before is embedded, an index is built, and both are compared. Every step is in the database: killed
at any moment and begun again, a migration goes on from there.
"""

from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

from sqlalchemy.orm import Session

from db import jobs
from db.embed_jobs import PHOTOS_PER_JOB, accept_embed_jobs
from db.id_set import IdSet
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
from db.vectors.encoders import active_encoder, follow_encoder, get_encoder, register_encoder
from models.domain.errors import Conflict, ReindexRunning
from models.domain.job_payloads import ReindexPayload
from models.domain.types import EncoderSpec, JobStatus
from workers.encoders.comparison import Comparison, compare
from workers.generations.request import accept_reindex
from workers.queue.executors import JobExecutor
from workers.queue.messages import Queue

# An index that lacks more of the photos is built anew: those are searched one by one, in memory.
FRESH_SHARE = 0.1

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """An encoder to which searches can change now, or nearly: `failed` photos are in its way.

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
    """Makes one encoder ready for searches to change to it; `executor` does the jobs it takes."""

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

    def run(self, spec: EncoderSpec) -> Migrated:
        """Follow, embed, index and compare; what is done already is not done again.

        Raises Conflict when one of its jobs fails.
        """
        with self._database.write() as session:
            encoder_id = register_encoder(session, spec, self._clock())
            encoder = follow_encoder(session, encoder_id)
            active = active_encoder(session)
        baseline = None if active is None or active.id == encoder.id else active
        # At first also what open jobs promise: one that began before this encoder was followed
        # leaves it out. What two jobs embed is stored once.
        self._embed(encoder.id, photos_lacking)
        generation = self._index(encoder.id)
        comparison = self._compare(encoder, baseline) if baseline else None
        # What has come back meanwhile without a job of its own: a listing that had been deleted.
        self._embed(encoder.id, photos_to_embed)
        embedded, failed = self._embedded, self._failed
        return Migrated(encoder, baseline, embedded, failed, generation, comparison)

    def _embed(self, encoder_id: int, wanted: Callable[[Session, int], AbstractSet[int]]) -> None:
        """Have photos embedded, and wait for the jobs of an earlier run; none is tried twice."""
        with self._database.read() as session:
            begun = [job for job in open_embed_jobs(session) if job.encoder_id == encoder_id]
            photo_ids = wanted(session, encoder_id)
        for job in begun:
            self._tried.update(job.photo_ids)
        left = [photo_id for photo_id in photo_ids if photo_id not in self._tried]
        self._tried.update(left)
        self._feed(encoder_id, left, begun)

    def _feed(
        self, encoder_id: int, photo_ids: Collection[int], begun: Sequence[OpenEmbedJob]
    ) -> None:
        """Only a few jobs are queued at a time: no new listing waits behind a whole catalogue."""
        left = iter(photo_ids)
        total = len(photo_ids) + sum(len(job.photo_ids) for job in begun)
        done = 0
        still_open = [job.id for job in begun]
        # One that is being done, and one that follows it.
        wanted = 2
        while True:
            still_open += self._accept(encoder_id, list(islice(left, wanted * PHOTOS_PER_JOB)))
            if not still_open:
                return
            self._executor.step(Queue.EMBED, still_open)
            looked = self._look(still_open)
            ended = [job for job in looked if job.status.terminal]
            for job in ended:
                _refuse_failed(job)
                self._embedded += job.done
                self._failed += job.failed
                done += job.total
            still_open = [job.id for job in looked if not job.status.terminal]
            waiting = sum(job.status is JobStatus.QUEUED for job in looked)
            # Twice what the workers have just done, or they would run dry between two looks.
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

    def _index(self, encoder_id: int) -> Generation:
        """The live generation, built unless there is one that holds most photos."""
        while True:
            with self._database.read() as session:
                live = generations.live(session, encoder_id)
                photos = count_live(session, encoder_id)
                job = generations.open_reindex(session)
            if live is not None and (live.rows or 0) >= photos * (1 - FRESH_SHARE):
                return live
            # There is one build at a time: one of somebody else's is waited for.
            ended = self._until_ended(job or self._request_index(encoder_id))
            if ReindexPayload.model_validate(ended.payload).encoder_id == encoder_id:
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

    def _until_ended(self, job: Job) -> Job:
        while not job.status.terminal:
            self._executor.step(Queue.INDEX, [job.id])
            (job,) = self._look([job.id])
            self._on_progress("index", job.done, max(job.total, job.done, 1))
        return job

    def _look(self, job_ids: Sequence[UUID]) -> list[Job]:
        with self._database.read() as session:
            return [jobs.get(session, job_id) for job_id in job_ids]

    def _compare(self, encoder: Encoder, baseline: Encoder) -> Comparison | None:
        """Compare, and note in the database how it came out."""

        def on_progress(done: int, total: int) -> None:
            self._on_progress("comparing", done, total)

        compared = compare(self._database, encoder, baseline, on_progress)
        if compared is not None:
            with self._database.write() as session:
                get_encoder(session, encoder.id).comparison = compared.as_json()
        return compared


def _refuse_failed(job: Job) -> None:
    if job.status is not JobStatus.SUCCEEDED:
        detail = job.error_detail or f"it was {job.status}."
        raise Conflict(f"A job of the migration has not succeeded: {detail} Run it again to go on.")
