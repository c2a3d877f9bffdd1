"""What follows a load: its photos are embedded, and an index is built of them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from db import jobs
from db.jobs import Progress
from db.session import Database
from etl.load.follow import do_all, wait_for
from models.domain.errors import ReindexRunning
from progress import Bars
from workers.generations.request import lacks_generation, request_reindex
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher

Follow = Callable[[str, Sequence[UUID], Queue], Progress]
"""Sees these jobs of a queue through to their end, under this name."""

Hands = Callable[[Queue], AbstractContextManager[Callable[[UUID], None]]]
"""Opens what does one job of a queue in this process."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `embedded` counts photos; `problems` are sentences, if there are any."""

    embedded: int = 0
    problems: list[str] = field(default_factory=list)


def by_workers(database: Database, bars: Bars, clock: Callable[[], datetime]) -> Follow:
    """Wait for workers to do the jobs."""

    def follow(name: str, job_ids: Sequence[UUID], queue: Queue) -> Progress:
        return wait_for(
            database,
            job_ids,
            queue,
            clock=clock,
            on_progress=_shown(bars, name),
            on_unattended=lambda: bars.say(
                f"No {queue} worker is running: start one with `marketlens up`. "
                "What is queued stays queued and will be done when it runs."
            ),
        )

    return follow


def in_process(
    database: Database, bars: Bars, clock: Callable[[], datetime], hands: Hands
) -> Follow:
    """Do the jobs here."""

    def follow(name: str, job_ids: Sequence[UUID], queue: Queue) -> Progress:
        with database.read() as session:
            progress = jobs.progress_of(session, job_ids)
        if not progress.open_jobs:
            return progress
        with hands(queue) as do:
            return do_all(database, job_ids, do, clock=clock, on_progress=_shown(bars, name))

    return follow


def embed_and_index(
    database: Database,
    publisher: JobPublisher | None,
    embed_jobs: Sequence[UUID],
    *,
    follow: Follow,
    reindex: bool,
    bars: Bars,
    clock: Callable[[], datetime],
    new_id: Callable[[], UUID],
) -> Outcome:
    """See the embed jobs through; then have an index built, if there is anything new for one."""
    embedding = follow("embedding", embed_jobs, Queue.EMBED)
    problems = _embedding_problems(embedding)
    if reindex and (embedding.done or lacks_generation(database)):
        try:
            job_id = request_reindex(database, publisher, job_id=new_id(), now=clock())
        except ReindexRunning:
            bars.say(
                "Another reindex is under way. The new photos can be found already; "
                "the next reindex will take them in."
            )
        else:
            problems += _reindex_problems(database, job_id, follow("index", [job_id], Queue.INDEX))
    return Outcome(embedding.done, problems)


def _shown(bars: Bars, name: str) -> Callable[[Progress], None]:
    return lambda now: bars.show(name, now.done + now.failed, now.total)


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


def _reindex_problems(database: Database, job_id: UUID, progress: Progress) -> list[str]:
    if not progress.unsuccessful_jobs:
        return []
    with database.read() as session:
        detail = jobs.get(session, job_id).error_detail or "it was cancelled"
    return [f"The reindex did not succeed: {detail}"]
