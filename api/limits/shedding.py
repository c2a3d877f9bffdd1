"""Refuses queries that would wait too long before anything else is done for them.

Of ten times as many as can be answered, nine are refused: what each of them costs, those that are
answered lack.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from api.idempotency.keys import HEADER
from api.jobs.backlog import Backlog
from api.limits.rates import QUERY_PATHS
from api.middleware.observed import note_route
from api.problems import problem_of
from models.domain.errors import Overloaded

_HEADER = HEADER.encode()


class ShedQueries:
    """Answers 429 to queries while there is no room for them.

    A request with an `Idempotency-Key` is passed on: its answer may be stored, and needs no room.
    """

    def __init__(self, app: ASGIApp, backlog: Backlog) -> None:
        self._app = app
        self._backlog = backlog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 429."""
        if _is_new_query(scope):
            try:
                self._backlog.require_room()
            except Overloaded as refusal:
                note_route(scope, scope["path"])
                await problem_of(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_new_query(scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "POST"
        and scope["path"] in QUERY_PATHS
        and all(name != _HEADER for name, _ in scope["headers"])
    )
