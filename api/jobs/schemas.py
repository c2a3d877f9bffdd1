"""Jobs as shown. Names and shapes are the HTTP contract."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel

from db.tables import Job
from models.domain.types import JobStatus, JobType


class Progress(BaseModel):
    """How far a job is, in photos (in rows of the index for a reindex)."""

    total: int
    done: int
    failed: int


class JobError(BaseModel):
    """Why a job failed."""

    code: str
    detail: str


class JobOut(BaseModel):
    """A job."""

    id: UUID
    type: JobType
    status: JobStatus
    progress: Progress
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: JobError | None
    result: dict[str, Any] | None

    @classmethod
    def of(cls, job: Job) -> Self:
        """The job as it is now."""
        error = None
        if job.error_code is not None:
            error = JobError(code=job.error_code, detail=job.error_detail or "")
        return cls(
            id=job.id,
            type=job.type,
            status=job.status,
            progress=Progress(total=job.total, done=job.done, failed=job.failed),
            attempt=job.attempt,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            error=error,
            result=job.result,
        )


class JobPage(BaseModel):
    """Jobs, newest first."""

    items: list[JobOut]
    next_cursor: str | None
