"""Jobs: read, cancel, retry."""

from http import HTTPStatus

from fastapi import APIRouter, Depends

from api.deps import (
    Credentials,
    Cursor,
    Desk,
    DeskDep,
    JobId,
    PageSize,
    authorise,
    encode_cursor,
    needs,
)
from api.errors import responses
from api.schemas import JobOut, JobPage
from db import jobs
from db.tables import Job
from models.domain.types import JobType, Scope

ADMIN_JOBS = frozenset({JobType.REINDEX, JobType.DUPLICATES})

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=[Depends(needs(Scope.WRITE))])


@router.get("")
def page(desk: DeskDep, cursor: Cursor, limit: PageSize = 50) -> JobPage:
    """Jobs, newest first."""
    with desk.database.read() as session:
        found = jobs.recent(session, limit, cursor)
    following = None
    if len(found) == limit:
        following = encode_cursor((found[-1].created_at, found[-1].id))
    return JobPage(items=[JobOut.of(job) for job in found], next_cursor=following)


@router.get("/{job_id}", responses=responses(HTTPStatus.NOT_FOUND))
def read(job_id: JobId, desk: DeskDep) -> JobOut:
    """A job: its status, progress, and its result or error once it has ended."""
    with desk.database.read() as session:
        return JobOut.of(jobs.get(session, job_id))


@router.post("/{job_id}:cancel", responses=responses(HTTPStatus.NOT_FOUND))
def cancel(job_id: JobId, desk: DeskDep, credentials: Credentials) -> JobOut:
    """Cancel a job that has not ended; one that has stays as it is."""
    with desk.database.write() as session:
        _admin_for_admin_jobs(desk, jobs.get(session, job_id), credentials)
        return JobOut.of(jobs.cancel(session, job_id, desk.now()))


@router.post("/{job_id}:retry", responses=responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
def retry(job_id: JobId, desk: DeskDep, credentials: Credentials) -> JobOut:
    """Queue a failed or cancelled job again."""
    with desk.database.write() as session:
        _admin_for_admin_jobs(desk, jobs.get(session, job_id), credentials)
        job = jobs.retry(session, job_id, desk.now())
    desk.publisher.publish([job])
    return JobOut.of(job)


def _admin_for_admin_jobs(desk: Desk, job: Job, credentials: Credentials) -> None:
    if job.type in ADMIN_JOBS:
        authorise(desk, credentials, Scope.ADMIN)
