"""Checks the readiness for searches (database, broker, a search worker), and other processes.

A process that was told to stop is not ready, so that calls are sent to others.
"""

from typing import Literal

from api.deps import Resources
from api.health.schemas import Ready
from db.consumption import RELAY, consumed_lately
from models.domain.errors import Unavailable
from workers.queue.messages import Queue


def check_readiness(resources: Resources) -> Ready:
    """Whether a search would be done now, and who is missing.

    An unreachable database is reported, not raised.
    """
    consumed: dict[str, str | None] = {}
    database = True
    try:
        with resources.database.read() as session:
            consumed = consumed_lately(session, resources.now())
    except Unavailable:
        database = False
    needed = {
        "database": database,
        "broker": resources.publisher.reachable(),
        "search_worker": Queue.SEARCH in consumed,
    }
    if resources.draining.has_begun:
        needed["not_stopping"] = False
    others = {
        "embed_worker": Queue.EMBED in consumed,
        "index_worker": Queue.INDEX in consumed,
        "relay": RELAY in consumed,
    }
    status: Literal["ready", "degraded", "not ready"] = "ready"
    if not all(needed.values()):
        status = "not ready"
    elif not all(others.values()):
        status = "degraded"
    return Ready(status=status, checks=needed | others, encoder=consumed.get(Queue.SEARCH))
