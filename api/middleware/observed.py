"""Gives each request its id, counts and times it, and traces it where that is asked for."""

from http import HTTPMethod
from time import perf_counter
from typing import Final

from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observability import context, metrics, traces

_ROUTE: Final = "marketlens.route"
"""Where in a scope the route is noted: others copy scopes, and routing writes into the copy."""
_UNMATCHED: Final = "unmatched"
_FILE: Final = "file"
"""What is mounted, and pages that describe the API."""
_METHODS: Final = frozenset(HTTPMethod)
_GONE: Final = 499
"""The status of a request whose caller hung up before it was answered, as nginx has it."""


class Observed:
    """Counts, times and traces requests; outside of all other middleware, within `with_id`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context.bind_request(correlation_id.get())
        began = perf_counter()
        noted: list[str] = []
        scope[_ROUTE] = noted
        status = _GONE

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        metrics.IN_FLIGHT.add(1)
        parent = Headers(scope=scope).get("traceparent") if traces.is_on() else None
        try:
            with traces.request_span(parent) as span:
                try:
                    await self._app(scope, receive, watched)
                except Exception:
                    # What is outside of this answers it.
                    status = 500
                    raise
                finally:
                    route = noted[0] if noted else _UNMATCHED
                    method = scope["method"] if scope["method"] in _METHODS else "other"
                    if span is not None:
                        span.answered(method, route, status)
        finally:
            metrics.IN_FLIGHT.add(-1)
            metrics.REQUESTS.count(route, method, str(status))
            metrics.REQUEST_SECONDS.observe(perf_counter() - began, route, method)


class NoteRoute:
    """Notes which route a request has; inside of all other middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        try:
            await self._app(scope, receive, send)
        finally:
            noted = scope.get(_ROUTE)
            path = getattr(scope.get("route"), "path", None)
            if isinstance(noted, list) and "endpoint" in scope:
                noted.append(path if isinstance(path, str) else _FILE)


def with_id(app: ASGIApp) -> CorrelationIdMiddleware:
    """Gives a request the id that its caller states, or one of its own, and answers with it."""
    return CorrelationIdMiddleware(
        app,
        header_name=context.REQUEST_ID_HEADER,
        generator=context.new_request_id,
        validator=context.is_request_id,
    )
