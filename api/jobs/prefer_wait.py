"""`Prefer: wait=N` (RFC 7240): a response that is held until its job has ended."""

import re
from http import HTTPStatus
from time import monotonic
from typing import Annotated

from fastapi import Header, Response

from api.deps import Resources
from api.jobs.responses import current_job
from api.jobs.schemas import JobOut
from api.jobs.waiting import is_set_within
from db.tables import Job

MAX_WAIT_S = 30.0
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*(\d{1,6})(?:$|[,;\s])")

Prefer = Annotated[str | None, Header(description="`wait=N` holds the answer, N ≤ 30 s.")]


async def awaited_job(
    resources: Resources, job: Job, response: Response, path: str, prefer: str | None
) -> JobOut:
    """A job just accepted; with `Prefer: wait`, as it is once it has ended or the wait is over.

    `path` is the collection of jobs of its type. Sets the response's status and headers.
    """
    response.headers["Location"] = f"{path}/{job.id}"
    wait_s = _wanted_wait(prefer)
    if wait_s:
        response.headers["Preference-Applied"] = f"wait={wait_s:g}"
        job = await _wait_for(resources, job, wait_s)
    if job.status.terminal:
        response.status_code = HTTPStatus.OK
    return current_job(job, response, resources.backlog.newest_wait_s())


def _wanted_wait(prefer: str | None) -> float:
    """Seconds to hold the response; preferences that are not understood are ignored."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), MAX_WAIT_S) if found else 0.0


async def _wait_for(resources: Resources, job: Job, wait_s: float) -> Job:
    deadline = monotonic() + wait_s
    async with resources.ended_jobs.waiting_for(job.id) as told:
        while not job.status.terminal and (left := deadline - monotonic()) > 0:
            await is_set_within(told, left)
            told.clear()
            job = await resources.ended_jobs.read(job.id)
    return job
