"""Who does the jobs that a command has accepted: the queue's workers, or this very process."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime
from time import monotonic, sleep
from typing import Protocol, Self
from uuid import UUID

from db import jobs
from db.consumption import consumed_lately
from db.session import Database
from workers.inline import hands
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher, PublishableJob
from workers.runtime import WorkerConfig

POLL_EVERY_S = 0.25
# A worker takes about as long to load its model; longer without any means that none is there.
PATIENCE_S = 10.0


class Hands(Protocol):
    """Whoever does the jobs."""

    def take(self, accepted: Sequence[PublishableJob]) -> None:
        """Hand over jobs whose rows are committed."""

    def wait(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
        """Let a moment pass in which some of these jobs of a queue may end."""


class Workers:
    """The workers of the queue. `say` is told, once, when none takes the jobs of a queue."""

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
        self._unattended_since: dict[Queue, float] = {}
        self._told: set[Queue] = set()

    def take(self, accepted: Sequence[PublishableJob]) -> None:
        """Publish them; what the broker does not get, the relay publishes."""
        self._publisher.publish(accepted)

    def wait(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
        """See `Hands`."""
        del job_ids
        with self._database.read() as session:
            attended = queue.value in consumed_lately(session, self._clock())
        if attended:
            self._unattended_since.pop(queue, None)
        elif (
            monotonic() - self._unattended_since.setdefault(queue, monotonic()) >= PATIENCE_S
            and queue not in self._told
        ):
            self._told.add(queue)
            self._say(f"No {queue} worker is running: start one with `marketlens up`.")
        sleep(POLL_EVERY_S)


class ThisProcess:
    """This process, one job after the other. Use it as a context: models are held until it ends."""

    def __init__(
        self,
        database: Database,
        config_of: Callable[[Queue], WorkerConfig],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._config_of = config_of
        self._clock = clock
        self._stack = ExitStack()
        self._do: dict[Queue, Callable[[UUID], None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def take(self, accepted: Sequence[PublishableJob]) -> None:
        """Nothing: `wait` looks for what is due in the database."""

    def wait(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
        """Do those of the jobs that are due."""
        if queue not in self._do:
            self._do[queue] = self._stack.enter_context(hands(self._config_of(queue)))
        with self._database.read() as session:
            due = jobs.due_among(session, job_ids, self._clock())
        started = monotonic()
        for job_id in due:
            self._do[queue](job_id)
        # A job that a killed process had claimed is due, but not to be had before its lease ends.
        sleep(max(0.0, POLL_EVERY_S - (monotonic() - started)))
