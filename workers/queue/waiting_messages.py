"""Which jobs have a message that waits in the broker: those need not be published again.

A message can be lost: the broker may lose its memory, a worker may die between taking a message and
claiming its job, and a process between storing a job and publishing it. That a queue is long does
not lose any.
"""

import base64
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from redis import Redis
from redis.exceptions import RedisError

from models.domain.errors import Unavailable
from workers.queue.broker import Broker
from workers.queue.messages import QUERIES, RUN_JOB, PublishableJob, Queue

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 2.0
READ_AT_MOST: Final = 10_000
"""Messages of a queue that are read, about 1 kB each. In a longer queue none counts as lost: what
is published again would come last, and is looked for again when the queue is shorter."""
READ_TOGETHER: Final = 1_000


@dataclass(frozen=True, slots=True)
class QueueMessages:
    """What waits in a queue: how many messages, and the jobs that they name, None if too many."""

    length: int
    job_ids: frozenset[UUID] | None

    def lead_to(self, job: PublishableJob) -> bool:
        """Whether one of the messages leads a worker to this job."""
        if self.job_ids is None:
            return True
        # Any message of a query leads to all that were never attempted.
        if job.type in QUERIES and not job.attempt:
            return bool(self.job_ids)
        return job.id in self.job_ids


class WaitingMessages:
    """Reads the queues of a deployment. Connects when first used."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._redis = Redis.from_url(
            broker.redis_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        )

    def read(self, queue: Queue) -> QueueMessages:
        """What waits in a queue. Raises Unavailable."""
        key = self._key(queue)
        with _as_unavailable():
            length = self._redis.llen(key)
            read_all = length <= READ_AT_MOST
            return QueueMessages(length, frozenset(self._job_ids(key)) if read_all else None)

    def length(self, queue: Queue) -> int:
        """How many messages wait in a queue, probes included. Raises Unavailable."""
        with _as_unavailable():
            return self._redis.llen(self._key(queue))

    def has_memory(self) -> bool:
        """Whether the broker still knows what `give_memory` has told it. Raises Unavailable.

        If not, it was restarted or emptied, and all messages are lost.
        """
        with _as_unavailable():
            return bool(self._redis.exists(self._memory_key))

    def give_memory(self) -> None:
        """Tell the broker something to remember. Raises Unavailable."""
        with _as_unavailable():
            self._redis.set(self._memory_key, "1")

    def close(self) -> None:
        """Close its connections."""
        self._redis.close()

    @property
    def _memory_key(self) -> str:
        return f"{self._broker.prefix}memory"

    def _key(self, queue: Queue) -> str:
        return f"{self._broker.prefix}{queue.value}"

    def _job_ids(self, key: str) -> Iterator[UUID]:
        # Messages enter on the left and leave on the right: while they are read, one may be seen
        # twice, and none that stays is missed.
        start = 0
        while chunk := self._redis.lrange(key, start, start + READ_TOGETHER - 1):
            yield from filter(None, map(_job_id, chunk))
            start += len(chunk)


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise Unavailable(f"The broker can't be reached: {error}.") from error


def _job_id(message: bytes | str) -> UUID | None:
    """The job that a message names; None for a probe."""
    try:
        content = json.loads(message)
        if content["headers"]["task"] != RUN_JOB:
            return None
        (job_id,), *_ = json.loads(base64.b64decode(content["body"]))
        return UUID(job_id)
    except (ValueError, KeyError, TypeError) as error:
        log.warning("a message can't be read: %r", error)
        return None
