"""Searches: submit, poll, cancel."""

import asyncio
import re
from http import HTTPStatus
from time import monotonic
from typing import Annotated, Any
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from api.deps import Desk, DeskDep, SearchId, needs
from api.errors import responses
from api.forms import invalid_body, media_type, photo_bytes, read_form
from api.intake import search_by_listing, search_by_photo
from api.schemas import MAX_LIMIT, JobOut, SearchIn
from db import jobs
from db.tables import Job
from models.domain import JobType, Scope
from models.errors import InvalidInput, NotFound, UnsupportedBody

router = APIRouter(
    prefix="/v1/searches", tags=["searches"], dependencies=[Depends(needs(Scope.SEARCH))]
)

MAX_WAIT_S = 30.0
POLL_EVERY_S = 0.02
_LIMIT = re.compile(r"[0-9]{1,3}")
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*(\d{1,6})(?:$|[,;\s])")

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["photo"],
                    "properties": {
                        "photo": {"type": "string", "format": "binary"},
                        "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
                    },
                }
            },
            "application/json": {
                "schema": SearchIn.model_json_schema(),
                "example": {"listing_id": "96dee810-9ea2-488d-8d87-dc35290d44c4", "limit": 10},
            },
        },
    }
}


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=_BODY,
    responses={
        HTTPStatus.OK: {"model": JobOut, "description": "Done within the time of `Prefer: wait`."},
        **responses(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    },
)
async def submit(
    request: Request,
    response: Response,
    desk: DeskDep,
    prefer: Annotated[
        str | None, Header(description="`wait=N` holds the answer, N ≤ 30 s.")
    ] = None,
) -> JobOut:
    """Search by a photo (multipart) or by a listing (JSON)."""
    job = await _accept(request, desk)
    response.headers["Location"] = f"/v1/searches/{job.id}"
    wait_s = _wanted_wait(prefer)
    if wait_s:
        response.headers["Preference-Applied"] = f"wait={wait_s:g}"
        job = await _wait_for(desk, job, wait_s)
    if job.status.terminal:
        response.status_code = HTTPStatus.OK
    else:
        response.headers["Retry-After"] = "1"
    return JobOut.of(job)


@router.get("/{search_id}", responses=responses(HTTPStatus.NOT_FOUND))
def read(search_id: SearchId, desk: DeskDep, response: Response) -> JobOut:
    """A search's status, and its results once it has succeeded."""
    job = _find(desk, search_id)
    if not job.status.terminal:
        response.headers["Retry-After"] = "1"
    return JobOut.of(job)


@router.delete("/{search_id}", responses=responses(HTTPStatus.NOT_FOUND))
def cancel(search_id: SearchId, desk: DeskDep) -> JobOut:
    """Cancel a search that has not ended; one that has stays as it is."""
    _find(desk, search_id)
    with desk.database.write() as session:
        return JobOut.of(jobs.cancel(session, search_id, desk.now()))


async def _accept(request: Request, desk: Desk) -> Job:
    match media_type(request):
        case "multipart/form-data":
            async with read_form(request, max_files=1) as form:
                photo = (await photo_bytes(form, "photo", desk.max_upload_bytes))[0]
                limit = _limit(form.get("limit"))
            return await to_thread.run_sync(
                search_by_photo, desk, photo, limit, limiter=desk.decoding
            )
        case "application/json":
            try:
                wanted = SearchIn.model_validate_json(await request.body())
            except ValidationError as error:
                raise invalid_body(error) from error
            return await run_in_threadpool(search_by_listing, desk, wanted.listing_id, wanted.limit)
        case _:
            raise UnsupportedBody("This call takes multipart/form-data or application/json.")


def _limit(value: object) -> int:
    if value is None:
        return 10
    if isinstance(value, str) and _LIMIT.fullmatch(value) and 1 <= int(value) <= MAX_LIMIT:
        return int(value)
    raise InvalidInput(f"The limit must be a whole number from 1 to {MAX_LIMIT}.")


def _wanted_wait(prefer: str | None) -> float:
    """Seconds to hold the answer (RFC 7240); preferences that are not understood are ignored."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), MAX_WAIT_S) if found else 0.0


async def _wait_for(desk: Desk, job: Job, wait_s: float) -> Job:
    deadline = monotonic() + wait_s
    while not job.status.terminal and monotonic() < deadline:
        await asyncio.sleep(POLL_EVERY_S)
        job = await run_in_threadpool(_find, desk, job.id)
    return job


def _find(desk: Desk, search_id: UUID) -> Job:
    with desk.database.read() as session:
        job = jobs.get(session, search_id)
    if job.type is not JobType.SEARCH:
        raise NotFound("There is no such search.")
    return job
