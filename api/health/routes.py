"""Liveness and readiness probes."""

from fastapi import APIRouter, Response, status

from api.deps import ResourcesDep
from api.health.schemas import Alive, Ready
from api.health.service import check_readiness

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> Alive:
    """The process answers."""
    return Alive(status="alive")


@router.get("/readyz", responses={status.HTTP_503_SERVICE_UNAVAILABLE: {"model": Ready}})
def ready(resources: ResourcesDep, response: Response) -> Ready:
    """Database and broker answer, and a worker has lately taken work from the search queue.

    The other queues' workers and the relay are told of; without them it is ready, but degraded.
    """
    checked = check_readiness(resources)
    if checked.status == "not ready":
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return checked
