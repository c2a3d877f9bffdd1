"""Who does accepted jobs: the workers of their queue, or this very process."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from time import monotonic, sleep
from typing import Final, Protocol, Self
from uuid import UUID

from db import jobs
from db.consumption import consumed_lately
from db.jobs import Progress
from db.session import Database
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher, PublishableJob

POLL_EVERY_S: Final = 0.25
# A worker takes about as long to load its model.
UNATTENDED_AFTER_S: Final = 10.0
BROKER_PAUSE_S: Final = 30.0

RunJob = Callable[[UUID], None]
"""Does one job, as a worker does it."""


class JobExecutor(Protocol):
    """Does jobs whose rows are committed."""

    def submit(self, accepted: Sequence[PublishableJob]) -> None:
        """Hand over jobs to be done."""

    def step(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
        """Let some of these jobs of one queue go on; returns after about `POLL_EVERY_S` seconds."""


class QueueExecutor:
    """The workers of the queues. `say` is called once for each queue that no worker consumes."""

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
        self._unattended_since: dict[Queue, float] = {}
        self._reported: set[Queue] = set()

    def submit(self, accepted: Sequence[PublishableJob]) -> None:
        """Publish them; what the broker does not take, the relay publishes later.

        A broker that does not answer is left alone for a while: each attempt costs a timeout.
        """
        if monotonic() < self._publish_from:
            return
        if len(self._publisher.publish(accepted)) < len(accepted):
            self._publish_from = monotonic() + BROKER_PAUSE_S

    def step(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
        """Wait a moment, and check that the queue is being consumed."""
        del job_ids
        with self._database.read() as session:
            attended = queue.value in consumed_lately(session, self._clock())
        if attended:
            self._unattended_since.pop(queue, None)
        elif queue not in self._reported:
            since = self._unattended_since.setdefault(queue, monotonic())
            if monotonic() - since >= UNATTENDED_AFTER_S:
                self._reported.add(queue)
                self._say(
                    f"No {queue} worker is running: start one with `marketlens up`. What is queued "
                    "stays queued and will be done when it runs."
                )
        sleep(POLL_EVERY_S)


class InlineExecutor:
    """This process, one job after the other. A context: what jobs need is loaded once, and kept.

    `open_worker` gives what does one job of a queue; it may take seconds.
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
        """Do those of the jobs that are due, until the time is over."""
        if queue not in self._workers:
            self._workers[queue] = self._stack.enter_context(self._open_worker(queue))
        end = monotonic() + POLL_EVERY_S
        with self._database.read() as session:
            due = jobs.due_among(session, job_ids, self._clock())
        for job_id in due:
            self._workers[queue](job_id)
            if monotonic() >= end:
                return
        # A job that a killed process had claimed can't be claimed before its lease expires.
        sleep(max(0.0, end - monotonic()))


def run_to_end(
    executor: JobExecutor,
    database: Database,
    queue: Queue,
    job_ids: Sequence[UUID],
    on_progress: Callable[[Progress], None],
) -> Progress:
    """Have these jobs of one queue done, however long that takes; gives how they ended."""
    progress = _progress(database, job_ids)
    while progress.open_jobs:
        on_progress(progress)
        executor.step(queue, job_ids)
        progress = _progress(database, job_ids)
    on_progress(progress)
    return progress


def _progress(database: Database, job_ids: Sequence[UUID]) -> Progress:
    with database.read() as session:
        return jobs.progress_of(session, job_ids)
