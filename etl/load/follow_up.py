"""After a load: embed its photos and build an index of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from db.jobs import reading
from db.jobs.counting import Progress
from db.session import Database
from models.domain.errors import ReindexRunning
from progress import Bars
from workers.generations.request import accept_reindex, lacks_generation
from workers.queue.executors import JobExecutor, run_to_end
from workers.queue.messages import Queue


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result: `embedded` counts photos, `problems` are sentences."""

    embedded: int = 0
    problems: list[str] = field(default_factory=list)


def embed_and_index(
    database: Database,
    executor: JobExecutor,
    embed_jobs: Sequence[UUID],
    *,
    reindex: bool,
    bars: Bars,
    clock: Callable[[], datetime],
    new_id: Callable[[], UUID],
) -> Outcome:
    """Run the embed jobs; then build an index, if there are new photos or there is none yet."""
    embedding = run_to_end(executor, database, Queue.EMBED, embed_jobs, _shown(bars, "embedding"))
    problems = _embedding_problems(embedding)
    if reindex and (embedding.done or lacks_generation(database)):
        try:
            job = accept_reindex(database, job_id=new_id(), now=clock())
        except ReindexRunning:
            bars.say(
                "Another reindex is under way. The new photos can be found already; "
                "the next reindex will take them in."
            )
        else:
            executor.submit([job])
            ended = run_to_end(executor, database, Queue.INDEX, [job.id], _shown(bars, "index"))
            problems += _reindex_problems(database, job.id, ended)
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
        detail = reading.get(session, job_id).error_detail or "it was cancelled"
    return [f"The reindex did not succeed: {detail}"]
