"""Limits the bytes of a request body, as plain ASGI: the rest of a refused body is not read."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem_of
from models.domain.errors import TooLarge

# Multipart boundaries, part headers and small fields beside a photo.
ENVELOPE_BYTES = 64 * 1024
# A thousand events whose ids are as long as they may be, each character escaped in JSON.
EVENTS_BYTES = 8_000_000


class LimitBody:
    """Answers 413 as soon as a body is longer than allowed, whether or not it states its length."""

    def __init__(self, app: ASGIApp, *, photo_bytes: int, bulk_bytes: int) -> None:
        self._app = app
        self._photo_bytes = photo_bytes
        self._bulk_bytes = bulk_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting the bytes of its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
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
        try:
            await self._app(scope, counted, watched)
        except TooLarge as error:
            if answered:
                raise
            await _refuse(error, scope, receive, send)

    def _limit(self, path: str) -> int:
        if path == "/v1/events":
            return EVENTS_BYTES
        bulk = path.startswith("/v1/listings")
        return (self._bulk_bytes if bulk else self._photo_bytes) + ENVELOPE_BYTES


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
