"""`/metrics`: for Prometheus, with a key of its own scope where the API is not on loopback."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.auth import Credentials, is_open
from api.limits.dependency import count_request
from api.metrics.service import MetricsOfMachine
from api.openapi import KEY_REFUSED, TOO_MANY
from models.domain.types import Scope
from observability.exposition import CONTENT_TYPE

router = APIRouter(tags=["health"])


async def _for_a_reader(request: Request, credentials: Credentials) -> MetricsOfMachine:
    """The metrics, if the caller may read them."""
    found: MetricsOfMachine = request.app.state.metrics
    if not is_open(found.resources, request, Scope.METRICS):
        # As everywhere: otherwise keys could be guessed without a limit.
        count_request(found.resources, request, None)
        await run_in_threadpool(found.require_reader, credentials)
    return found


@router.get(
    "/metrics",
    response_class=Response,
    responses={HTTPStatus.OK: {"content": {"text/plain": {}}}, **KEY_REFUSED, **TOO_MANY},
)
def metrics(found: Annotated[MetricsOfMachine, Depends(_for_a_reader)]) -> Response:
    """What the processes of this machine have counted, and the state of queues and index."""
    return Response(found.text(), media_type=CONTENT_TYPE)
