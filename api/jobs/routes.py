"""Jobs: read, cancel, retry."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse

from api.auth import Credentials, require_scope
from api.deps import JobId, ResourcesDep
from api.jobs.events import job_changes
from api.jobs.responses import JOBS_PATH
from api.jobs.schemas import JobOut, JobPage, job_out, job_state
from api.jobs.service import cancel_job, list_jobs, read_job, retry_job
from api.openapi import KEY_REFUSED, NO_SUCH
from api.pagination import PageCursor, PageSize, next_cursor
from api.problems import responses
from db.tables import Job
from models.domain.types import Scope

router = APIRouter(
    prefix=JOBS_PATH,
    tags=["jobs"],
    dependencies=[Depends(require_scope(Scope.WRITE))],
    responses=KEY_REFUSED,
)


@router.get("")
def page(resources: ResourcesDep, cursor: PageCursor, limit: PageSize = 50) -> JobPage:
    """Jobs, newest first, without their results: read a job for that."""
    found = list_jobs(resources, limit, cursor)
    following = next_cursor([(job.created_at, job.id) for job in found], limit)
    return JobPage(items=[job_state(job) for job in found], next_cursor=following)


@router.get("/{job_id}", responses=NO_SUCH)
def read(job_id: JobId, resources: ResourcesDep) -> JobOut:
    """A job: its status, progress, and its result or error once it has ended."""
    return job_out(read_job(resources, job_id))


def _known_job(job_id: JobId, resources: ResourcesDep) -> Job:
    # Before the stream begins: a job that is not there is answered with 404.
    return read_job(resources, job_id)


@router.get("/{job_id}/events", response_class=EventSourceResponse, responses=NO_SUCH)
async def events(
    job: Annotated[Job, Depends(_known_job)], resources: ResourcesDep
) -> AsyncIterator[JobOut]:
    """The job as it is, and each time it has changed, until it has ended (server-sent events)."""
    async for changed in job_changes(resources, job):
        yield job_out(changed)


@router.post("/{job_id}:cancel", responses=NO_SUCH)
def cancel(job_id: JobId, resources: ResourcesDep, credentials: Credentials) -> JobOut:
    """Cancel a job that has not ended; one that has stays as it is."""
    return job_out(cancel_job(resources, job_id, credentials))


@router.post("/{job_id}:retry", responses=responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
def retry(job_id: JobId, resources: ResourcesDep, credentials: Credentials) -> JobOut:
    """Queue a failed or cancelled job again."""
    return job_out(retry_job(resources, job_id, credentials))
