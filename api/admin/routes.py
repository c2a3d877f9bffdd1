"""Admin: rebuild the index, switch its generations, see encoders and the audit log, duplicates."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from api.access.audit import AUDITED
from api.admin.schemas import AuditPage, EncoderOut, GenerationOut
from api.admin.service import (
    accept_duplicates,
    accept_reindex,
    activate_generation,
    list_audit_entries,
    list_encoders,
    list_generations,
)
from api.auth import require_scope
from api.deps import ResourcesDep
from api.idempotency.dependency import KeyedResources
from api.jobs.responses import accepted_job
from api.jobs.schemas import DuplicatesJob, JobOut, ReindexJob
from api.openapi import KEY_REFUSED
from api.problems import responses
from models.domain.types import Scope

AuditCursor = Annotated[
    int | None,
    Query(ge=1, le=2**63 - 1, description="`next_cursor` of the page before."),
]
GenerationId = Annotated[int, Path(ge=1, le=2**31 - 1)]

router = APIRouter(
    prefix="/v1/admin",
    tags=["admin"],
    dependencies=[Depends(require_scope(Scope.ADMIN)), AUDITED],
    responses=KEY_REFUSED,
)


@router.post(
    "/reindex",
    status_code=HTTPStatus.ACCEPTED,
    responses=responses(HTTPStatus.CONFLICT),
    response_model=ReindexJob,
)
def reindex(resources: KeyedResources, response: Response) -> JobOut:
    """Build the next generation of the index; searches go on meanwhile. One build at a time."""
    return accepted_job(accept_reindex(resources), response)


@router.post(
    "/duplicates",
    status_code=HTTPStatus.ACCEPTED,
    response_model=DuplicatesJob,
)
def duplicates(resources: KeyedResources, response: Response) -> JobOut:
    """Find listings that show the same photo or the same thing, and whose they are.

    The job's result has them in clusters of a `relation`, each with its listings, their `seller`
    and `similarity`: first those of the `same_photo`, then those of likely the `same_item`, and of
    each relation those of the most `sellers`.
    """
    return accepted_job(accept_duplicates(resources), response)


@router.get("/generations")
def page(
    resources: ResourcesDep, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> list[GenerationOut]:
    """Generations of the index, newest first."""
    return [GenerationOut.of(row) for row in list_generations(resources, limit)]


@router.post(
    "/generations/{generation_id}:activate",
    responses=responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def activate(generation_id: GenerationId, resources: ResourcesDep) -> GenerationOut:
    """Serve from a kept generation again: the way back from one that turned out worse."""
    return GenerationOut.of(activate_generation(resources, generation_id))


@router.get("/encoders")
def encoders(resources: ResourcesDep) -> list[EncoderOut]:
    """The encoders known here, oldest first. Searches are made with the active one."""
    return [EncoderOut.of(summary) for summary in list_encoders(resources)]


@router.get("/audit")
def audit(
    resources: ResourcesDep,
    cursor: AuditCursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> AuditPage:
    """Who has changed what: admin calls and commands, newest first.

    An entry without a result is under way, or its process was killed.
    """
    return AuditPage.of(list_audit_entries(resources, limit, cursor), limit)
