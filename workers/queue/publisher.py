"""Publishes job ids to workers. Imports neither torch nor faiss: the API and the relay use it."""

import logging
from collections.abc import Iterable
from uuid import UUID

from celery import Celery
from kombu.exceptions import OperationalError

from models.domain.errors import Unavailable
from observability.metrics import BROKER_ERRORS, PUBLISHED
from workers.queue.broker import PRODUCER_TRANSPORT, Broker, create_celery
from workers.queue.messages import PROBE, QUERIES, QUEUE_OF, RUN_JOB, PublishableJob, Queue
from workers.queue.waiting_messages import WaitingMessages

log = logging.getLogger(__name__)


class JobPublisher:
    """Publishes job ids to the workers of a deployment. Connects when first used."""

    def __init__(self, broker: Broker) -> None:
        self.waiting = WaitingMessages(broker)
        """What was published and not received yet."""
        self._broker = broker
        self._made: Celery | None = None

    @property
    def _celery(self) -> Celery:
        """Raises what `Broker.prefix` raises."""
        if self._made is None:
            self._made = create_celery(self._broker, PRODUCER_TRANSPORT)
        return self._made

    def publish(self, jobs: Iterable[PublishableJob]) -> list[UUID]:
        """Send messages for jobs, whose rows must be committed; returns those sent.

        One message leads to all queries that were never attempted; each other job has its own. A
        broker that can't be reached is no error: the rows are there and the relay will publish
        them. The remaining jobs are left to it at the first failure.
        """
        sent: list[UUID] = []
        for together in _by_message(jobs):
            job = together[0]
            try:
                self._celery.send_task(
                    RUN_JOB, args=[str(job.id)], queue=QUEUE_OF[job.type].value, retry=False
                )
            except (OperationalError, Unavailable) as error:
                BROKER_ERRORS.count()
                log.warning("broker unreachable, the relay will publish: %s", error)
                break
            PUBLISHED.count(QUEUE_OF[job.type])
            sent += [job.id for job in together]
        return sent

    def probe(self, queue: Queue, expires_s: float) -> None:
        """Ask a consumer of the queue to record that it runs; expires after `expires_s` seconds."""
        try:
            self._celery.send_task(
                PROBE, args=[queue.value], queue=queue.value, retry=False, expires=expires_s
            )
        except OperationalError as error:
            BROKER_ERRORS.count()
            log.warning("broker unreachable, no probe sent: %s", error)

    def reachable(self) -> bool:
        """Whether the broker answers now."""
        try:
            with self._celery.connection_for_write() as connection:
                connection.default_channel.client.ping()
        except Exception:  # noqa: BLE001 - transports raise errors of their own kinds
            return False
        return True

    def close(self) -> None:
        """Close pooled connections."""
        if self._made is not None:
            self._made.close()
        self.waiting.close()


def _by_message(jobs: Iterable[PublishableJob]) -> list[list[PublishableJob]]:
    """The jobs that a message leads to, for each message that is needed."""
    queries: list[PublishableJob] = []
    others: list[list[PublishableJob]] = []
    for job in jobs:
        if job.type in QUERIES and not job.attempt:
            queries.append(job)
        else:
            others.append([job])
    return [queries, *others] if queries else others
