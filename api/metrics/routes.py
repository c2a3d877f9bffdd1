"""`/metrics`: for Prometheus, with a key of its own scope where the API is not on loopback."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.auth import Credentials
from api.metrics.service import MetricsOfMachine
from api.openapi import KEY_REFUSED
from observability.exposition import CONTENT_TYPE

router = APIRouter(tags=["health"])


async def _metrics_of(request: Request) -> MetricsOfMachine:
    found: MetricsOfMachine = request.app.state.metrics
    return found


@router.get(
    "/metrics",
    response_class=Response,
    responses={HTTPStatus.OK: {"content": {"text/plain": {}}}, **KEY_REFUSED},
)
def metrics(
    found: Annotated[MetricsOfMachine, Depends(_metrics_of)], credentials: Credentials
) -> Response:
    """What the processes of this machine have counted, and the state of queues and index."""
    found.require_reader(credentials)
    return Response(found.text(), media_type=CONTENT_TYPE)
