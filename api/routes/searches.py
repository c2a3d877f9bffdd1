"""Searches: submit, poll, cancel."""

from http import HTTPStatus

from fastapi import APIRouter, Depends, Request, Response

from api.deps import DeskDep, SearchId, needs
from api.openapi import (
    BODY_REFUSED,
    KEY_REFUSED,
    MATCH_EXAMPLE,
    NO_SUCH,
    described_answer,
    described_body,
)
from api.schemas import JobOut, SearchIn, SearchOptions
from api.submission import Prefer, answer, ask, cancel_job, read_job
from models.domain import JobType, Scope

router = APIRouter(
    prefix="/v1/searches",
    tags=["searches"],
    dependencies=[Depends(needs(Scope.SEARCH))],
    responses=KEY_REFUSED,
)

_ANSWER = described_answer(
    JobType.SEARCH,
    {
        "generation": 3,
        "encoder": "resnet50-1a2b3c4d",
        "exact": True,
        "took_ms": {
            "queue": 4.1,
            "decode": 2.0,
            "embed": 61.3,
            "sync": 0.8,
            "search": 1.9,
            "rank": 3.2,
            "total": 73.5,
        },
        "results": [MATCH_EXAMPLE],
    },
)


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=described_body(SearchOptions, SearchIn),
    responses={**_ANSWER, **NO_SUCH, **BODY_REFUSED},
)
async def submit(
    request: Request, response: Response, desk: DeskDep, prefer: Prefer = None
) -> JobOut:
    """Search by a photo (multipart) or by a listing (JSON)."""
    job = await ask(request, desk, JobType.SEARCH, SearchOptions, SearchIn)
    return await answer(desk, job, response, router.prefix, prefer)


@router.get("/{search_id}", responses={**_ANSWER, **NO_SUCH})
def read(search_id: SearchId, desk: DeskDep, response: Response) -> JobOut:
    """A search's status, and its results once it has succeeded."""
    return read_job(desk, search_id, JobType.SEARCH, response)


@router.delete("/{search_id}", responses=NO_SUCH)
def cancel(search_id: SearchId, desk: DeskDep) -> JobOut:
    """Cancel a search that has not ended; one that has stays as it is."""
    return cancel_job(desk, search_id, JobType.SEARCH)
