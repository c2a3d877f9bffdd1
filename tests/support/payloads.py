"""Payloads and results of jobs: some for tests that do not depend on them, and stored ones read."""

from typing import TypeVar

from db.tables import Job
from models.domain.job_payloads import JobPayload, StoredJson, parse_payload
from models.domain.job_results.base import JobResult
from models.domain.job_results.embeddings import EmbedResult
from models.domain.types import JobType

PHOTO = "0" * 64
NOTHING_EMBEDDED = EmbedResult(embedded=0, errors=())

Payload = TypeVar("Payload", bound=JobPayload)
Result = TypeVar("Result", bound=JobResult)

_STORED: dict[JobType, StoredJson] = {
    JobType.SEARCH: {"positive": [PHOTO], "limit": 1},
    JobType.EMBEDDING: {"photo": PHOTO},
    JobType.PREDICTION: {"photo": PHOTO, "top": 1},
    JobType.RECOMMENDATION: {"rank": {}, "limit": 1},
    JobType.EMBED: {"photo_ids": [1]},
    JobType.BATCH: {},
    JobType.REINDEX: {},
    JobType.DUPLICATES: {},
    JobType.ADAPT: {},
    JobType.CALIBRATE: {},
    JobType.MATCH: {},
}


def some_payload(job_type: JobType) -> JobPayload:
    """A payload of a job of this type."""
    return parse_payload(job_type, _STORED[job_type])


def payload_as(job: Job, model: type[Payload]) -> Payload:
    """The stored payload of a job whose type is known."""
    return model.model_validate(job.payload)


def result_as(job: Job, model: type[Result]) -> Result:
    """The stored result of a job whose type is known, and that has one."""
    assert job.result, (job.error_code, job.error_detail)
    return model.model_validate(job.result)
