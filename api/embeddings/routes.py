"""Embeddings: submit a photo, read its vector."""

from http import HTTPStatus

from fastapi import APIRouter, Depends, Request, Response

from api.auth import require_scope
from api.deps import JobId, ResourcesDep
from api.embeddings.forms import read_photo_to_embed
from api.embeddings.service import accept_embedding
from api.idempotency.dependency import KeyedResources
from api.jobs.prefer_wait import Prefer, awaited_job
from api.jobs.responses import polled_job
from api.jobs.schemas import EmbeddingJob, JobOut, job_out
from api.jobs.service import cancel_job_of_type, read_job_of_type
from api.openapi import BODY_REFUSED, KEY_REFUSED, NO_SUCH, TOO_MANY, described_body, described_job
from models.domain.types import JobType, Scope

router = APIRouter(
    prefix="/v1/embeddings",
    tags=["embeddings"],
    dependencies=[Depends(require_scope(Scope.SEARCH))],
    responses=KEY_REFUSED,
)

_JOB = described_job(
    EmbeddingJob,
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
    responses={**_JOB, **BODY_REFUSED, **TOO_MANY},
    response_model=EmbeddingJob,
)
async def submit(
    request: Request, response: Response, resources: KeyedResources, prefer: Prefer
) -> JobOut:
    """Embed a photo, in a form or as the body.

    The result's `embedding` has length 1: the dot product of two is their photos' similarity.
    Compare only those of the same `fingerprint`. A photo that the catalogue knows gives the vector
    that is stored there, which has been rounded to half precision.
    """
    resources.backlog.require_room()
    photo = await read_photo_to_embed(request, resources.max_upload_bytes)
    resources.backlog.admit()
    job = await accept_embedding(resources, photo)
    return await awaited_job(request, resources, job, response, router.prefix, prefer)


@router.get(
    "/{job_id}",
    responses={**_JOB, **NO_SUCH},
    response_model=EmbeddingJob,
)
def read(job_id: JobId, resources: ResourcesDep, response: Response) -> JobOut:
    """An embedding's status, and the vector once it has succeeded."""
    job = read_job_of_type(resources, job_id, JobType.EMBEDDING)
    return polled_job(resources, job, response)


@router.delete(
    "/{job_id}",
    responses=NO_SUCH,
    response_model=EmbeddingJob,
)
def cancel(job_id: JobId, resources: ResourcesDep) -> JobOut:
    """Cancel an embedding that has not ended; one that has stays as it is."""
    return job_out(cancel_job_of_type(resources, job_id, JobType.EMBEDDING))
