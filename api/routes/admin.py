"""Admin: rebuild the index, switch between its generations, see encoders, find duplicates."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from api.deps import DeskDep, needs
from api.errors import responses
from api.intake import accept_and_publish
from api.intake import reindex as accept_reindex
from api.schemas import EncoderOut, GenerationOut, JobOut
from db.vectors import generations
from db.vectors.encoders import summarise_encoders
from models.domain.types import JobType, Scope

GenerationId = Annotated[int, Path(ge=1, le=2**31 - 1)]

router = APIRouter(
    prefix="/v1/admin",
    tags=["admin"],
    dependencies=[Depends(needs(Scope.ADMIN))],
    responses=responses(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN),
)


@router.post("/reindex", status_code=HTTPStatus.ACCEPTED, responses=responses(HTTPStatus.CONFLICT))
def reindex(desk: DeskDep, response: Response) -> JobOut:
    """Build the next generation of the index; searches go on meanwhile. One build at a time."""
    job = accept_reindex(desk)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return JobOut.of(job)


@router.post("/duplicates", status_code=HTTPStatus.ACCEPTED)
def duplicates(desk: DeskDep, response: Response) -> JobOut:
    """Find listings that show the same photo or the same thing, and whose they are.

    The job's result has them in clusters of a `relation`, each with its listings, their `seller`
    and `similarity`: first those of the `same_photo`, then those of likely the `same_item`, and of
    each relation those of the most `sellers`.
    """
    job = accept_and_publish(desk, JobType.DUPLICATES, {})
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return JobOut.of(job)


@router.get("/generations")
def page(desk: DeskDep, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> list[GenerationOut]:
    """Generations of the index, newest first."""
    with desk.database.read() as session:
        return [GenerationOut.of(row) for row in generations.all_generations(session, limit)]


@router.post(
    "/generations/{generation_id}:activate",
    responses=responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def activate(generation_id: GenerationId, desk: DeskDep) -> GenerationOut:
    """Serve from a kept generation again: the way back from one that turned out worse."""
    with desk.database.write() as session:
        return GenerationOut.of(generations.switch_to(session, generation_id, desk.now()))


@router.get("/encoders")
def encoders(desk: DeskDep) -> list[EncoderOut]:
    """The encoders known here, oldest first. Searches are made with the active one."""
    with desk.database.read() as session:
        return [EncoderOut.of(summary) for summary in summarise_encoders(session)]
