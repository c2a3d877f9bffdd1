"""Questions about a photo, which workers answer: read, accepted, waited for."""

import asyncio
import re
from http import HTTPStatus
from time import monotonic
from typing import Annotated, Any
from uuid import UUID

from anyio import to_thread
from fastapi import Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData

from api.deps import Desk
from api.forms import invalid_body, media_type, photo_bytes, read_form
from api.intake import ask_about_listing, ask_about_photo
from api.schemas import ByListing, JobOut
from db import jobs
from db.tables import Job
from models.domain.errors import NotFound, UnsupportedBody
from models.domain.types import JobType

MAX_WAIT_S = 30.0
POLL_EVERY_S = 0.02
PHOTO_PART = "photo"
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*(\d{1,6})(?:$|[,;\s])")

Prefer = Annotated[str | None, Header(description="`wait=N` holds the answer, N ≤ 30 s.")]


async def ask(
    request: Request,
    desk: Desk,
    question: JobType,
    options: type[BaseModel],
    by_listing: type[ByListing],
) -> Job:
    """Accept a question about a photo (multipart) or about a listing (JSON)."""
    match media_type(request):
        case "multipart/form-data":
            return await ask_by_photo(request, desk, question, options)
        case "application/json":
            try:
                asked = by_listing.model_validate_json(await request.body())
            except ValidationError as error:
                raise invalid_body(error) from error
            stated = asked.model_dump(exclude={"listing_id"})
            return await run_in_threadpool(
                ask_about_listing, desk, question, asked.listing_id, stated
            )
        case _:
            raise UnsupportedBody("This call takes multipart/form-data or application/json.")


async def ask_by_photo(
    request: Request, desk: Desk, question: JobType, options: type[BaseModel] | None = None
) -> Job:
    """Accept a question about a photo (multipart)."""
    async with read_form(request, max_files=1) as form:
        photo = (await photo_bytes(form, PHOTO_PART, desk.max_upload_bytes))[0]
        stated = _stated(form, options) if options else {}
    return await to_thread.run_sync(
        ask_about_photo, desk, question, photo, stated, limiter=desk.decoding
    )


async def answer(
    desk: Desk, job: Job, response: Response, place: str, prefer: str | None
) -> JobOut:
    """A job just accepted, or, where the caller prefers to wait, as it is after that.

    `place` is where its kind is read. Sets the response's status and headers.
    """
    response.headers["Location"] = f"{place}/{job.id}"
    wait_s = _wanted_wait(prefer)
    if wait_s:
        response.headers["Preference-Applied"] = f"wait={wait_s:g}"
        job = await _wait_for(desk, job, wait_s)
    if job.status.terminal:
        response.status_code = HTTPStatus.OK
    else:
        response.headers["Retry-After"] = "1"
    return JobOut.of(job)


def read_job(desk: Desk, job_id: UUID, question: JobType, response: Response) -> JobOut:
    """A job of this kind; sets `Retry-After` while it has not ended. Raises NotFound."""
    job = find_job(desk, job_id, question)
    if not job.status.terminal:
        response.headers["Retry-After"] = "1"
    return JobOut.of(job)


def cancel_job(desk: Desk, job_id: UUID, question: JobType) -> JobOut:
    """Cancel a job of this kind; one that has ended stays as it is. Raises NotFound."""
    find_job(desk, job_id, question)
    with desk.database.write() as session:
        return JobOut.of(jobs.cancel(session, job_id, desk.now()))


def _stated(form: FormData, options: type[BaseModel]) -> dict[str, Any]:
    try:
        return options.model_validate(dict(form)).model_dump()
    except ValidationError as error:
        raise invalid_body(error) from error


def _wanted_wait(prefer: str | None) -> float:
    """Seconds to hold the answer (RFC 7240); preferences that are not understood are ignored."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), MAX_WAIT_S) if found else 0.0


async def _wait_for(desk: Desk, job: Job, wait_s: float) -> Job:
    deadline = monotonic() + wait_s
    while not job.status.terminal and monotonic() < deadline:
        await asyncio.sleep(POLL_EVERY_S)
        job = await run_in_threadpool(find_job, desk, job.id, job.type)
    return job


def find_job(desk: Desk, job_id: UUID, question: JobType) -> Job:
    """A job of this kind. Raises NotFound."""
    with desk.database.read() as session:
        job = jobs.get(session, job_id)
    if job.type is not question:
        raise NotFound(f"There is no such {question}.")
    return job
