"""Messages of the queues: names and ids only. Imports no torch: the API imports this."""

from enum import StrEnum
from typing import Protocol
from uuid import UUID

from models.domain.types import JobType


class Queue(StrEnum):
    """The queues; each has workers of its own, so that a long build never delays a search."""

    SEARCH = "search"
    EMBED = "embed"
    INDEX = "index"


QUEUE_OF = {
    JobType.SEARCH: Queue.SEARCH,
    JobType.EMBED: Queue.EMBED,
    JobType.MATCH: Queue.EMBED,
    JobType.REINDEX: Queue.INDEX,
    JobType.DUPLICATES: Queue.INDEX,
    JobType.ADAPT: Queue.INDEX,
    JobType.CALIBRATE: Queue.INDEX,
    JobType.EMBEDDING: Queue.SEARCH,
    JobType.PREDICTION: Queue.SEARCH,
    JobType.RECOMMENDATION: Queue.SEARCH,
}

QUERIES = frozenset(job_type for job_type, queue in QUEUE_OF.items() if queue is Queue.SEARCH)
"""Jobs that a caller waits for: about a photo, a listing, or what a user would open next."""

RUN_JOB = "marketlens.run_job"
"""Task: run the job with this id; if it is a query, all queries that were never attempted."""

PROBE = "marketlens.probe"
"""Task: record in the database that this queue is being consumed."""


class PublishableJob(Protocol):
    """What is needed of a job to publish it."""

    @property
    def id(self) -> UUID:
        """The job's id."""

    @property
    def type(self) -> JobType:
        """Decides the queue."""

    @property
    def attempt(self) -> int:
        """How often it was attempted."""
