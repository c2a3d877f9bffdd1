"""Looks up what the database knows: queues, and the live generation."""

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import ClassVar, Final

from fastapi.security import HTTPAuthorizationCredentials
from prometheus_client.metrics_core import Metric
from sqlalchemy.orm import Session

from api.auth import authorise
from api.deps import Resources
from db.consumption import RELAY, last_consumed
from db.jobs import counting
from db.jobs.counting import OpenJobs
from db.vectors import generations
from db.vectors.encoders import active_encoder
from models.domain.errors import Forbidden, MarketlensError, Unauthenticated, Unavailable
from models.domain.types import JobStatus, Scope
from observability import metrics
from observability.exposition import Remembered, about_machine, exposition
from observability.instruments import Values, folder
from workers.queue.messages import QUEUE_OF, Queue

READERS: Final = 16
"""How many keys of readers are remembered."""
RATE_OVER_S: Final = 60.0
"""Over about how many seconds the rate is measured at which jobs of a queue end."""
_OPEN: Final = (JobStatus.QUEUED, JobStatus.RUNNING)


class MetricsOfMachine:
    """What this machine's processes have counted, and what the database says of all machines."""

    LOOKED_UP_FOR_S: ClassVar[float] = 2.0
    """However many ask, the database is asked no more often."""

    def __init__(self, resources: Resources, data_dir: Path) -> None:
        self.resources = resources
        self._data_dir = data_dir
        self._rates = {queue: EndRate(queue) for queue in Queue}
        self._began = monotonic()
        self._readers: set[str] = set()
        self._remembered = Remembered(lambda: list(self._looked_up()), self.LOOKED_UP_FOR_S)

    def require_reader(self, credentials: HTTPAuthorizationCredentials | None) -> None:
        """Raise Unauthenticated or Forbidden for who may not read them.

        While the database can't say, those may that it has known in this process' time: what keeps
        it from answering is what they read.
        """
        digest = "" if credentials is None else sha256(credentials.credentials.encode()).hexdigest()
        try:
            authorise(self.resources, credentials, Scope.METRICS)
        except (Unauthenticated, Forbidden):
            self._readers.discard(digest)
            raise
        except Unavailable:
            if digest not in self._readers:
                raise
        else:
            if len(self._readers) < READERS:
                self._readers.add(digest)

    def text(self) -> bytes:
        """The metrics in the text format of Prometheus. An unreachable database is one of them."""
        counted = folder()
        return exposition(counted, self._remembered, lambda: about_machine(counted, self._data_dir))

    def _looked_up(self) -> Iterator[Metric]:
        yield metrics.BROKER_UP.family({(): self.resources.publisher.reachable()})
        try:
            with self.resources.database.read() as session:
                found = list(self._of_database(session, self.resources.now()))
        except MarketlensError:
            yield metrics.DATABASE_UP.family({(): 0})
        else:
            yield metrics.DATABASE_UP.family({(): 1})
            yield from found

    def _of_database(self, session: Session, now: datetime) -> Iterator[Metric]:
        jobs = [found for found in counting.open_jobs(session) if found.type in QUEUE_OF]
        yield from _of_queues(jobs, now)
        waits: Values = {
            (queue.value,): wait_s
            for queue in Queue
            if (wait_s := self._wait_s(session, queue, now)) is not None
        }
        yield metrics.QUEUE_WAIT.family(waits)
        yield metrics.QUEUE_UNSEEN.family(self._unseen(session, now))
        yield from _of_generation(session, now)

    def _unseen(self, session: Session, now: datetime) -> Values:
        """Seconds since each queue was seen; since this process' start where it never was."""
        never = monotonic() - self._began
        unseen: Values = {(queue,): never for queue in (*Queue, RELAY)}
        for queue, seen_at in last_consumed(session).items():
            unseen[queue,] = max(0.0, (now - seen_at).total_seconds())
        return unseen

    def _wait_s(self, session: Session, queue: Queue, now: datetime) -> float | None:
        estimated = self._rates[queue].wait_s(session, now)
        if queue is Queue.SEARCH and estimated != 0:
            # What callers are told, and refused by.
            return self.resources.backlog.newest_wait_s() or estimated
        return estimated


class EndRate:
    """How fast the jobs of a queue end, from one look to the next."""

    def __init__(self, queue: Queue) -> None:
        self._types = frozenset(kind for kind, its_queue in QUEUE_OF.items() if its_queue is queue)
        self._open = 0
        self._since: datetime | None = None
        self._rate: float | None = None

    def wait_s(self, session: Session, now: datetime) -> float | None:
        """Seconds in which the open jobs will have ended; None while their rate is not known."""
        seen = counting.load_of(session, self._types, self._since or now, now)
        elapsed_s = 0.0 if self._since is None else (now - self._since).total_seconds()
        if elapsed_s > 0 and self._open and (ended := self._open + seen.accepted - seen.open) >= 0:
            newest = ended / elapsed_s
            weight = 1.0 if self._rate is None else min(1.0, elapsed_s / RATE_OVER_S)
            before = self._rate or 0.0
            self._rate = before + weight * (newest - before)
        self._open, self._since = seen.open, now
        if not seen.open:
            return 0.0
        return seen.open / self._rate if self._rate else None


def _of_queues(jobs: list[OpenJobs], now: datetime) -> Iterator[Metric]:
    counts: Values = {(queue.value, str(status)): 0 for queue in Queue for status in _OPEN}
    oldest: Values = {(queue.value,): 0.0 for queue in Queue}
    for found in jobs:
        queue = QUEUE_OF[found.type].value
        counts[queue, str(found.status)] += found.number
        if found.status is JobStatus.QUEUED:
            age_s = (now - found.oldest).total_seconds()
            oldest[queue,] = max(oldest[queue,], age_s)
    yield metrics.QUEUE_JOBS.family(counts)
    yield metrics.QUEUE_OLDEST.family(oldest)


def _of_generation(session: Session, now: datetime) -> Iterator[Metric]:
    active = active_encoder(session)
    live = None if active is None else generations.live(session, active.id)
    if live is None:
        return
    yield metrics.GENERATION_AGE.family({(): (now - live.created_at).total_seconds()})
    if live.recall_at_10 is not None:
        yield metrics.GENERATION_RECALL.family({(): live.recall_at_10})
    if live.rows is not None:
        yield metrics.GENERATION_ROWS.family({(): live.rows})
