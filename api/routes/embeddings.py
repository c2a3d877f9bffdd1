"""Embeddings: submit a photo, read its vector."""

from http import HTTPStatus

from fastapi import APIRouter, Depends, Request, Response

from api.deps import DeskDep, JobId, needs
from api.openapi import (
    BODY_REFUSED,
    KEY_REFUSED,
    NO_SUCH,
    described_answer,
    described_body,
)
from api.schemas import JobOut
from api.submission import Prefer, answer, ask_by_photo, cancel_job, read_job
from models.domain.types import JobType, Scope

router = APIRouter(
    prefix="/v1/embeddings",
    tags=["embeddings"],
    dependencies=[Depends(needs(Scope.SEARCH))],
    responses=KEY_REFUSED,
)

_ANSWER = described_answer(
    JobType.EMBEDDING,
    {
        "encoder": "resnet50-1a2b3c4d",
        "fingerprint": "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809",
        "dimension": 4,
        "embedding": [0.125, -0.5, 0.75, 0.414578],
        "took_ms": {"queue": 4.1, "decode": 2.0, "embed": 61.3, "total": 68.2},
    },
)


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=described_body(),
    responses={**_ANSWER, **BODY_REFUSED},
)
async def submit(
    request: Request, response: Response, desk: DeskDep, prefer: Prefer = None
) -> JobOut:
    """Embed a photo.

    The result's `embedding` has length 1: the dot product of two is their photos' similarity.
    Compare only those of the same `fingerprint`. A photo that the catalogue knows gives the vector
    that is stored there, which has been rounded to half precision.
    """
    job = await ask_by_photo(request, desk, JobType.EMBEDDING)
    return await answer(desk, job, response, router.prefix, prefer)


@router.get("/{job_id}", responses={**_ANSWER, **NO_SUCH})
def read(job_id: JobId, desk: DeskDep, response: Response) -> JobOut:
    """An embedding's status, and the vector once it has succeeded."""
    return read_job(desk, job_id, JobType.EMBEDDING, response)


@router.delete("/{job_id}", responses=NO_SUCH)
def cancel(job_id: JobId, desk: DeskDep) -> JobOut:
    """Cancel an embedding that has not ended; one that has stays as it is."""
    return cancel_job(desk, job_id, JobType.EMBEDDING)
