"""Executors of accepted jobs: the workers of their queue, or this process."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from time import monotonic, sleep
from typing import Final, Protocol, Self
from uuid import UUID

from db.consumption import consumed_lately
from db.jobs import counting, reading
from db.jobs.counting import Progress
from db.session import Database
from models.domain.types import JobType
from workers.queue.messages import QUEUE_OF, PublishableJob, Queue
from workers.queue.publisher import JobPublisher

POLL_EVERY_S: Final = 0.25
# About as long as a worker takes to load its model.
UNCONSUMED_AFTER_S: Final = 10.0
BROKER_PAUSE_S: Final = 30.0

RunJob = Callable[[UUID], None]
"""Runs one job, as a worker does."""


class JobExecutor(Protocol):
    """Runs jobs whose rows are committed."""

    def submit(self, accepted: Sequence[PublishableJob]) -> None:
        """Submit jobs for execution."""

    def step(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
        """Run or await some of these jobs of one queue, for about `POLL_EVERY_S` seconds."""


class QueueExecutor:
    """Leaves jobs to the queues' workers; calls `say` once for each queue that none consumes."""

    def __init__(
        self,
        database: Database,
        publisher: JobPublisher,
        clock: Callable[[], datetime],
        say: Callable[[str], None],
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._clock = clock
        self._say = say
        self._publish_from = 0.0
        self._unconsumed_since: dict[Queue, float] = {}
        self._reported: set[Queue] = set()

    def submit(self, accepted: Sequence[PublishableJob]) -> None:
        """Publish them; what the broker does not take, the relay publishes later.

        After a failure nothing is published for `BROKER_PAUSE_S`: each attempt costs a timeout.
        """
        if monotonic() < self._publish_from:
            return
        if len(self._publisher.publish(accepted)) < len(accepted):
            self._publish_from = monotonic() + BROKER_PAUSE_S

    def step(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
        """Wait a moment, and check that the queue is being consumed."""
        del job_ids
        with self._database.read() as session:
            consumed = queue.value in consumed_lately(session, self._clock())
        if consumed:
            self._unconsumed_since.pop(queue, None)
        elif queue not in self._reported:
            since = self._unconsumed_since.setdefault(queue, monotonic())
            if monotonic() - since >= UNCONSUMED_AFTER_S:
                self._reported.add(queue)
                self._say(
                    f"No {queue} worker is running: start one with `marketlens up`. What is queued "
                    "stays queued and will be done when it runs."
                )
        sleep(POLL_EVERY_S)


class InlineExecutor:
    """Runs jobs in this process, one after the other. A context: what they need is loaded once.

    `open_worker` gives the function that runs one job of a queue; it may take seconds.
    """

    def __init__(
        self,
        database: Database,
        open_worker: Callable[[Queue], AbstractContextManager[RunJob]],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._open_worker = open_worker
        self._clock = clock
        self._stack = ExitStack()
        self._workers: dict[Queue, RunJob] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def submit(self, accepted: Sequence[PublishableJob]) -> None:
        """Nothing to do: `step` finds what is due in the database."""

    def step(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
        """Run those of the jobs that are due, for about `POLL_EVERY_S` seconds."""
        if queue not in self._workers:
            self._workers[queue] = self._stack.enter_context(self._open_worker(queue))
        end = monotonic() + POLL_EVERY_S
        with self._database.read() as session:
            due = reading.due_among(session, job_ids, self._clock())
        for job_id in due:
            self._workers[queue](job_id)
            if monotonic() >= end:
                return
        # A job that a killed process had claimed can't be claimed before its lease expires.
        sleep(max(0.0, end - monotonic()))


class HeldQueueExecutor:
    """Runs the jobs of a queue from within a job of it, which holds the queue's only worker.

    All that wait are run, not only those asked for: a long job delays none. Jobs of other queues
    are published for their workers, and jobs of the types in `but` left to wait.
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        run_job: RunJob,
        publisher: JobPublisher,
        clock: Callable[[], datetime],
        *,
        but: Collection[JobType],
    ) -> None:
        self._database = database
        self._queue = queue
        self._publisher = publisher
        self._types = [
            job_type
            for job_type, its_queue in QUEUE_OF.items()
            if its_queue is queue and job_type not in but
        ]
        self._run_job = run_job
        self._clock = clock

    def submit(self, accepted: Sequence[PublishableJob]) -> None:
        """Publish those of other queues; `step` finds those of this one in the database."""
        self._publisher.publish(job for job in accepted if QUEUE_OF[job.type] is not self._queue)

    def step(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
        """Run a job of the held queue that is due, or wait a moment."""
        del queue, job_ids
        with self._database.read() as session:
            due = reading.due_of(session, self._types, self._clock())
        if due:
            self._run_job(due[0])
        else:
            sleep(POLL_EVERY_S)


def run_to_end(
    executor: JobExecutor,
    database: Database,
    queue: Queue,
    job_ids: Sequence[UUID],
    on_progress: Callable[[Progress], None],
) -> Progress:
    """Run these jobs of one queue to their end; gives their final progress."""
    progress = _progress(database, job_ids)
    while progress.open_jobs:
        on_progress(progress)
        executor.step(queue, job_ids)
        progress = _progress(database, job_ids)
    on_progress(progress)
    return progress


def _progress(database: Database, job_ids: Sequence[UUID]) -> Progress:
    with database.read() as session:
        return counting.progress_of(session, job_ids)
