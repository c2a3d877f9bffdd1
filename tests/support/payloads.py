"""A payload and a result of each type of job, for tests that do not depend on what they say."""

from models.domain.job_payloads import JobPayload, StoredJson, parse_payload
from models.domain.job_results import EmbedResult
from models.domain.types import JobType

PHOTO = "0" * 64
NOTHING_EMBEDDED = EmbedResult(embedded=0, errors=())

_STORED: dict[JobType, StoredJson] = {
    JobType.SEARCH: {"positive": [PHOTO], "limit": 1},
    JobType.EMBEDDING: {"photo": PHOTO},
    JobType.PREDICTION: {"photo": PHOTO, "top": 1},
    JobType.EMBED: {"photo_ids": [1]},
    JobType.BATCH: {},
    JobType.REINDEX: {},
    JobType.DUPLICATES: {},
}


def some_payload(job_type: JobType) -> JobPayload:
    """A payload of a job of this type."""
    return parse_payload(job_type, _STORED[job_type])
