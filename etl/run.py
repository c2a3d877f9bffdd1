"""A seed from start to searchable, told to a person as it goes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from db import jobs
from db.jobs import Progress
from db.photos import PhotoStore
from db.session import Database
from etl.follow import lacks_generation, request_reindex, wait_for
from etl.progress import Bars
from etl.report import SeedReport
from etl.seed import seed
from models.domain import EncoderSpec
from models.errors import ReindexRunning
from workers.client import JobPublisher
from workers.contracts import Queue


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `embedded` counts photos; `problems` are sentences, if there are any."""

    report: SeedReport
    embedded: int = 0
    problems: list[str] = field(default_factory=list)


class SeedRun:
    """One run, with its connections and the bars that show how far it is."""

    def __init__(
        self,
        *,
        database: Database,
        store: PhotoStore,
        publisher: JobPublisher,
        encoder: EncoderSpec,
        bars: Bars,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._database = database
        self._store = store
        self._publisher = publisher
        self._encoder = encoder
        self._bars = bars
        self._clock = clock
        self._new_id = new_id

    def run(
        self, folder: Path, *, max_photo_bytes: int, threads: int, wait: bool, reindex: bool
    ) -> Outcome:
        """Seed the folder; then wait for its photos' embedding and for an index of them."""
        report = seed(
            folder,
            database=self._database,
            store=self._store,
            publisher=self._publisher,
            encoder=self._encoder,
            max_photo_bytes=max_photo_bytes,
            threads=threads,
            clock=self._clock,
            new_id=self._new_id,
            on_progress=self._bars.show,
        )
        if not wait:
            return Outcome(report)
        embedding = self._follow("embedding", report.jobs, Queue.EMBED)
        problems = _embedding_problems(embedding)
        if reindex and (
            embedding.done or lacks_generation(self._database, self._encoder, now=self._clock())
        ):
            problems += self._reindex()
        return Outcome(report, embedding.done, problems)

    def _reindex(self) -> list[str]:
        try:
            job_id = request_reindex(
                self._database, self._publisher, job_id=self._new_id(), now=self._clock()
            )
        except ReindexRunning:
            self._bars.say(
                "Another reindex is under way. The new photos can be found already; "
                "the next reindex will take them in."
            )
            return []
        if not self._follow("index", [job_id], Queue.INDEX).unsuccessful_jobs:
            return []
        with self._database.read() as session:
            detail = jobs.get(session, job_id).error_detail or "it was cancelled"
        return [f"The reindex did not succeed: {detail}"]

    def _follow(self, name: str, job_ids: Sequence[UUID], queue: Queue) -> Progress:
        return wait_for(
            self._database,
            job_ids,
            queue,
            clock=self._clock,
            on_progress=lambda now: self._bars.show(name, now.done + now.failed, now.total),
            on_unattended=lambda: self._bars.say(
                f"No {queue} worker is running: start one with `marketlens up`. "
                "What is queued stays queued and will be done when it runs."
            ),
        )


def _embedding_problems(progress: Progress) -> list[str]:
    problems = []
    if progress.unsuccessful_jobs:
        problems.append(
            f"{progress.unsuccessful_jobs:,} embed jobs failed or were cancelled; "
            "seed again to queue their photos once more."
        )
    if progress.failed:
        problems.append(f"{progress.failed:,} photos could not be embedded.")
    return problems
