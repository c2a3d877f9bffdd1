"""What crosses the queue: names and ids only. No torch here: the API imports this."""

from enum import StrEnum

from models.domain.types import JobType


class Queue(StrEnum):
    """The queues; each has workers of its own, so that a long build never delays a search."""

    SEARCH = "search"
    EMBED = "embed"
    INDEX = "index"


QUEUE_OF = {
    JobType.SEARCH: Queue.SEARCH,
    JobType.EMBED: Queue.EMBED,
    JobType.REINDEX: Queue.INDEX,
    JobType.DUPLICATES: Queue.INDEX,
    JobType.EMBEDDING: Queue.SEARCH,
    JobType.PREDICTION: Queue.SEARCH,
}

RUN_JOB = "marketlens.run_job"
"""Task: do the job with this id."""

PROBE = "marketlens.probe"
"""Task: note in the database that this queue is being consumed."""

PHOTOS_PER_JOB = 32
"""Photos in one embed job: enough to batch, few enough to lose little when a worker dies."""

_SHA256_DIGITS = 64


def is_photo(name: str) -> bool:
    """Whether a thing that a job asks about is a photo, by its SHA-256, or a listing, by its id."""
    return len(name) == _SHA256_DIGITS
