"""HTTP responses of jobs: their `Location` and `Retry-After`."""

from fastapi import Response

from api.jobs.schemas import JobOut, job_out
from db.tables import Job

JOBS_PATH = "/v1/jobs"


def accepted_job(job: Job, response: Response) -> JobOut:
    """A job just accepted; sets `Location`."""
    response.headers["Location"] = f"{JOBS_PATH}/{job.id}"
    return job_out(job)


def current_job(job: Job, response: Response) -> JobOut:
    """A job as it is; sets `Retry-After` while it has not ended."""
    if not job.status.terminal:
        response.headers["Retry-After"] = "1"
    return job_out(job)
