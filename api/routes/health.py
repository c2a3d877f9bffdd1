"""Whether the process is alive, and whether a search would be done."""

from fastapi import APIRouter, Response, status

from api.deps import DeskDep
from api.schemas import Alive, Ready
from db.consumption import consumed_lately
from models.domain.errors import Unavailable
from workers.queue.messages import Queue

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> Alive:
    """The process answers."""
    return Alive(status="alive")


@router.get("/readyz", responses={status.HTTP_503_SERVICE_UNAVAILABLE: {"model": Ready}})
def ready(desk: DeskDep, response: Response) -> Ready:
    """Database and broker answer, and a worker has lately taken work from the search queue."""
    consumed: dict[str, str | None] = {}
    database = True
    try:
        with desk.database.read() as session:
            consumed = consumed_lately(session, desk.now())
    except Unavailable:
        database = False
    checks = {
        "database": database,
        "broker": desk.publisher.reachable(),
        "search_worker": Queue.SEARCH in consumed,
    }
    is_ready = all(checks.values())
    if not is_ready:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return Ready(
        status="ready" if is_ready else "not ready",
        checks=checks,
        encoder=consumed.get(Queue.SEARCH),
    )
