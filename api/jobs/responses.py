"""HTTP responses of jobs: their `Location` and `Retry-After`."""

from math import ceil

from fastapi import Response

from api.deps import Resources
from api.jobs.schemas import JobOut, job_out
from api.jobs.service import expected_wait_s
from db.tables import Job

JOBS_PATH = "/v1/jobs"


def accepted_job(job: Job, response: Response) -> JobOut:
    """A job just accepted; sets `Location`."""
    response.headers["Location"] = f"{JOBS_PATH}/{job.id}"
    return job_out(job)


def polled_job(resources: Resources, job: Job, response: Response) -> JobOut:
    """A query as it is, for who asks for it again."""
    return current_job(job, response, expected_wait_s(resources, job))


def current_job(job: Job, response: Response, wait_s: float | None) -> JobOut:
    """A job as it is; while it has not ended, with the seconds it will take about, if known."""
    if job.status.terminal:
        return job_out(job)
    response.headers["Retry-After"] = str(max(1, ceil(wait_s or 0)))
    return job_out(job, None if wait_s is None else round(wait_s, 1))
