"""Queues photos to be embedded, none in two open jobs."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from db.id_set import IdSet
from db.jobs.embed import PHOTOS_PER_JOB, accept_embed_jobs
from db.session import Database
from db.statements import chunks
from db.tables import Job
from db.vectors.embeddings import embedded, open_embed_jobs, photos_to_queue
from db.vectors.encoders import established_encoders
from models.domain.job_payloads import EmbedPayload
from workers.queue.executors import JobExecutor

JOBS_PER_TRANSACTION = 100


class EmbedJobs:
    """The open embed jobs, and new ones for photos that none of them will embed.

    `queued` counts the photos of new jobs; `open` are all jobs that were open at the start or came
    since.
    """

    def __init__(
        self,
        database: Database,
        executor: JobExecutor,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self.queued = 0
        self.open: dict[UUID, None] = {}
        self._database = database
        self._executor = executor
        self._clock = clock
        self._new_id = new_id
        self._in_open_jobs = IdSet()

    def start(self) -> None:
        """Read the jobs that earlier runs have left open."""
        with self._database.read() as session:
            for job in open_embed_jobs(session):
                # Those for a single encoder are of a migration, which waits for them itself.
                if job.encoder_id is None:
                    self.open[job.id] = None
                    self._in_open_jobs.update(job.photo_ids)

    def accept(self, session: Session, photo_ids: Iterable[int]) -> list[Job]:
        """Store jobs for those of the photos that an established encoder lacks and no job has.

        They are counted when they are submitted, after the transaction has committed.
        """
        unqueued = [photo_id for photo_id in photo_ids if photo_id not in self._in_open_jobs]
        done = [embedded(session, row.id, unqueued) for row in established_encoders(session)]
        done_by_all = set.intersection(*done) if done else set()
        return self._accept(session, sorted(set(unqueued) - done_by_all))

    def submit(self, accepted: Sequence[Job]) -> None:
        """Submit committed jobs to the executor, and remember their photos."""
        self._executor.submit(accepted)
        for job in accepted:
            self.open[job.id] = None
            self.queued += job.total
            self._in_open_jobs.update(EmbedPayload.parse(job.payload).photo_ids)

    def queue_missing(self) -> None:
        """Queue every other photo in the database that an established encoder has yet to embed.

        There are some when the encoder was changed, or when a job has failed.
        """
        with self._database.read() as session:
            missing = photos_to_queue(session)
        for batch in chunks(missing, JOBS_PER_TRANSACTION * PHOTOS_PER_JOB):
            with self._database.write() as session:
                accepted = self._accept(session, batch)
            self.submit(accepted)

    def _accept(self, session: Session, photo_ids: Iterable[int]) -> list[Job]:
        return accept_embed_jobs(session, photo_ids, now=self._clock(), new_id=self._new_id)
