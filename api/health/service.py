"""Checks the readiness for searches: database, broker, a search worker."""

from api.deps import Resources
from api.health.schemas import Ready
from db.consumption import consumed_lately
from models.domain.errors import Unavailable
from workers.queue.messages import Queue


def check_readiness(resources: Resources) -> Ready:
    """Whether a search would be done now; an unreachable database is reported, not raised."""
    consumed: dict[str, str | None] = {}
    database = True
    try:
        with resources.database.read() as session:
            consumed = consumed_lately(session, resources.now())
    except Unavailable:
        database = False
    checks = {
        "database": database,
        "broker": resources.publisher.reachable(),
        "search_worker": Queue.SEARCH in consumed,
    }
    return Ready(
        status="ready" if all(checks.values()) else "not ready",
        checks=checks,
        encoder=consumed.get(Queue.SEARCH),
    )
