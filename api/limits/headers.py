"""`RateLimit` and `RateLimit-Policy` of every response that a limit applies to.

As draft-ietf-httpapi-ratelimit-headers-10 has them: a list with each limit of the request.
"""

from collections.abc import Sequence
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.limits.limiter import Standing

STATE: Final = "rate_limits"
"""Where in a request's state it is told how its caller stands."""


class RateLimitHeaders:
    """Adds the headers to responses of requests that were counted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, adding headers to its response."""
        # Middleware within copies the scope, but not this.
        state = scope.setdefault("state", {})

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and (standings := state.get(STATE)):
                message["headers"] = [*message["headers"], *headers_of(standings)]
            await send(message)

        await self._app(scope, receive, with_headers)


def headers_of(standings: Sequence[Standing]) -> list[tuple[bytes, bytes]]:
    """The headers as ASGI has them."""
    policies = ", ".join(f'"{one.name}";q={one.limit};w={one.window_s}' for one in standings)
    left = ", ".join(f'"{one.name}";r={one.remaining};t={one.reset_s}' for one in standings)
    return [(b"ratelimit-policy", policies.encode()), (b"ratelimit", left.encode())]
