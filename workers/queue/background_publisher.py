"""Publishes in a thread of its own, so that nobody who has stored a job waits for the broker."""

import logging
from collections.abc import Iterable
from threading import Condition, Thread
from time import monotonic
from typing import Final, NamedTuple
from uuid import UUID

from models.domain.types import JobType
from workers.queue.messages import PublishableJob
from workers.queue.publisher import JobPublisher

log = logging.getLogger(__name__)

KEPT_FOR_S: Final = 5.0
"""As long as the relay leaves a new job alone (`db.jobs.accepting.PUBLISH_GRACE`): then that
publishes it, and this need not."""
MOST_KEPT: Final = 10_000
"""Jobs that are kept while the broker is away, a few megabytes; what comes then is left to the
relay."""
RETRY_EVERY_S: Final = 0.5


class _Waiting(NamedTuple):
    """What is needed of a job to publish it, and until when that is to be done here."""

    id: UUID
    type: JobType
    attempt: int
    until: float


class BackgroundPublisher:
    """Publishes what it is given as soon as the broker takes it; `publish` never waits for that.

    What the broker does not take within `KEPT_FOR_S` is left to the relay. Its thread starts with
    the first job.
    """

    def __init__(self, publisher: JobPublisher) -> None:
        self._publisher = publisher
        self._changed = Condition()
        self._waiting: list[_Waiting] = []
        self._thread: Thread | None = None
        self._closed = False

    def publish(self, jobs: Iterable[PublishableJob]) -> None:
        """Take jobs, whose rows must be committed, to be published."""
        until = monotonic() + KEPT_FOR_S
        with self._changed:
            room = MOST_KEPT - len(self._waiting)
            self._waiting += [_Waiting(job.id, job.type, job.attempt, until) for job in jobs][:room]
            if self._thread is None and not self._closed:
                self._thread = Thread(target=self._run, name="publisher", daemon=True)
                self._thread.start()
            self._changed.notify()

    def reachable(self) -> bool:
        """Whether the broker answers now."""
        return self._publisher.reachable()

    def close(self) -> None:
        """Try once more to publish what waits, and close the connections."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        self._publisher.close()

    def _run(self) -> None:
        while (together := self._next()) is not None:
            sent = self._sent(together)
            if len(sent) < len(together):
                self._keep([one for one in together if one.id not in sent])

    def _next(self) -> list[_Waiting] | None:
        """What waits, once something does; None when there is nothing more to do."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            together, self._waiting = self._waiting, []
        now = monotonic()
        return [one for one in together if one.until > now] if together else None

    def _sent(self, together: list[_Waiting]) -> set[UUID]:
        try:
            return set(self._publisher.publish(together))
        except Exception:
            # The thread must go on; the relay publishes these.
            log.exception("%s jobs are left to the relay", len(together))
            return {one.id for one in together}

    def _keep(self, unsent: list[_Waiting]) -> None:
        """Put back what the broker has not taken, and wait a moment."""
        with self._changed:
            if not self._closed:
                self._waiting = [*unsent, *self._waiting][:MOST_KEPT]
                self._changed.wait_for(lambda: self._closed, RETRY_EVERY_S)
