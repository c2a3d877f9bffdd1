"""Gives a stored answer again."""

from uuid import UUID

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from api.deps import Resources
from api.idempotency.keys import REPLAYED
from api.jobs.prefer_wait import awaited_job
from api.jobs.responses import accepted_job
from api.jobs.schemas import JobOut
from api.jobs.service import read_job
from db.idempotency import Answer
from workers.queue.messages import QUERIES


class Replayed(Exception):
    """Ends a request that is answered with what another one has made."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


async def replayed(
    request: Request, response: Response, resources: Resources, answer: Answer
) -> Response:
    """The response with a stored answer. Its job is as it is now, waited for as the request says.

    `response` is what the request's own would have been.
    """
    content: object = answer.body
    response.status_code = answer.status
    if answer.job_id is not None:
        shown = await _shown_job(request, response, resources, answer.job_id)
        job = shown.model_dump(mode="json")
        content = job if answer.body is None else {**answer.body, "job": job}
    if answer.location is not None:
        response.headers["Location"] = answer.location
    response.headers[REPLAYED] = "true"
    headers = dict(response.headers)
    return JSONResponse(content, response.status_code or answer.status, headers)


async def _shown_job(
    request: Request, response: Response, resources: Resources, job_id: UUID
) -> JobOut:
    job = await run_in_threadpool(read_job, resources, job_id)
    if job.type in QUERIES:
        prefer = request.headers.getlist("prefer")
        return await awaited_job(request, resources, job, response, request.url.path, prefer)
    return accepted_job(job, response)


def handle_replays(app: FastAPI) -> None:
    """Answer requests of this application that are ended by `Replayed`."""

    @app.exception_handler(Replayed)
    async def _replayed(request: Request, ended: Replayed) -> Response:
        del request
        return ended.response
