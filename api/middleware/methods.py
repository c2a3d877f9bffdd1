"""HEAD wherever GET is, OPTIONS, and what `Allow` says (RFC 9110)."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STREAM: Final = re.compile(r"/v1/\w+/[^/]+/events")
"""Paths of server-sent events."""
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Methods:
    """Answers HEAD like GET, without its body, and OPTIONS with the methods of a path.

    A stream of events has no HEAD: it does not end. Each route knows its own methods only, so
    `Allow` of a 405 is completed here by those of other routes of the same path.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on as the routes take it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] == "HEAD" and "HEAD" in allowed_methods(scope):
            await self._app(_as_get(scope), receive, _without_body(send))
        elif scope["method"] == "OPTIONS" and (allowed := allowed_methods(scope)):
            headers = {"Allow": ", ".join([*allowed, "OPTIONS"])}
            response = Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
            await response(scope, receive, send)
        else:
            # A copy: routing changes the scope.
            await self._app(scope, receive, _with_allow({**scope}, send))


def allowed_methods(scope: Scope) -> Sequence[str]:
    """The methods that the routes of a path take, HEAD included; empty for an unknown path."""
    allowed = [method for method in METHODS if _is_taken(scope, method)]
    if "GET" in allowed and not STREAM.fullmatch(scope["path"]):
        allowed.insert(1, "HEAD")
    return allowed


def _is_taken(scope: Scope, method: str) -> bool:
    asked = {**scope, "method": method}
    return any(
        # What is mounted are files.
        route.matches(asked)[0] is Match.FULL and (method == "GET" or not isinstance(route, Mount))
        for route in scope["app"].routes
    )


def _as_get(scope: Scope) -> Scope:
    # A range is defined for GET only.
    headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
    return {**scope, "method": "GET", "headers": headers}


def _without_body(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return sent


def _with_allow(scope: Scope, send: Send) -> Send:
    async def sent(message: Message) -> None:
        if (
            message["type"] == "http.response.start"
            and message["status"] == HTTPStatus.METHOD_NOT_ALLOWED
        ):
            MutableHeaders(scope=message)["Allow"] = ", ".join([*allowed_methods(scope), "OPTIONS"])
        await send(message)

    return sent
