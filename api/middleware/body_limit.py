"""Limits the bytes of a request body, as plain ASGI: the rest of a refused body is not read."""

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.events.schemas import MAX_EVENTS_BYTES
from api.forms import MAX_JSON_BYTES, BodyKind, kind_of_type
from api.multipart import MAX_FIELD_BYTES
from api.problems import problem_of
from api.uploads.body import attach_body
from api.uploads.spool import UploadSpace
from models.domain.errors import TooLarge

# Multipart boundaries, part headers and small fields beside a photo.
ENVELOPE_BYTES = 64 * 1024


LISTINGS: Final = "/v1/listings"
EVENTS: Final = "/v1/events"


class LimitBody:
    """Answers 413 as soon as a body is longer than allowed, whether or not it states its length.

    What of a body is kept while the request is answered is given back when it has been.
    """

    def __init__(
        self, app: ASGIApp, *, photo_bytes: int, bulk_bytes: int, space: UploadSpace
    ) -> None:
        self._app = app
        self._photo_bytes = photo_bytes
        self._bulk_bytes = bulk_bytes
        self._space = space

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting the bytes of its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope)
        received = 0
        answered = False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise TooLarge(_sentence(limit))
            return message

        async def watched(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        if _stated_length(scope) > limit:
            await _refuse(TooLarge(_sentence(limit)), scope, receive, send)
            return
        body = attach_body(scope, self._space)
        try:
            await self._app(scope, counted, watched)
        except TooLarge as error:
            if answered:
                raise
            await _refuse(error, scope, receive, send)
        finally:
            body.close()

    def _limit(self, scope: Scope) -> int:
        path: str = scope["path"]
        if path == EVENTS:
            return MAX_EVENTS_BYTES
        is_listing = path.startswith(LISTINGS)
        if kind_of_type(Headers(scope=scope).get("content-type")) is BodyKind.JSON:
            return MAX_FIELD_BYTES if is_listing else MAX_JSON_BYTES
        return (self._bulk_bytes if is_listing else self._photo_bytes) + ENVELOPE_BYTES


async def _refuse(error: TooLarge, scope: Scope, receive: Receive, send: Send) -> None:
    response = problem_of(error)
    # The rest of the body is not read, so the connection can't be reused.
    response.headers["Connection"] = "close"
    await response(scope, receive, send)


def _sentence(limit: int) -> str:
    return f"The request is larger than the {limit:,} bytes allowed here."


def _stated_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
