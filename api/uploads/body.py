"""The body of a request, which is read once, however often it is asked for."""

from collections.abc import AsyncIterator
from typing import Final

from fastapi import Request
from starlette.types import Scope

from api.uploads.parts import Part, parse_parts
from api.uploads.spool import Spool, Upload, UploadSpace
from models.domain.errors import MalformedBody, TooLarge

KEY: Final = "marketlens.body"


class RequestBody:
    """One request's body, as a whole or as the parts of a form. Closed by who has made it."""

    def __init__(self, space: UploadSpace) -> None:
        self._spool = Spool(space)
        self._whole: Upload | None = None
        self._parts: list[Part] | MalformedBody | None = None

    async def whole(
        self, request: Request, max_bytes: int | None = None, message: str = ""
    ) -> Upload:
        """All of it. Raises TooLarge, with this message, if it has more bytes."""
        if self._whole is None:
            async for chunk in request.stream():
                await self._spool.write(chunk)
                _check_size(self._spool.size, max_bytes, message)
            await self._spool.finish()
            self._whole = Upload(self._spool, 0, self._spool.size)
        _check_size(self._whole.size, max_bytes, message)
        return self._whole

    async def parts(self, request: Request, *, at_most: int) -> list[Part]:
        """The parts of a form, at most so many. Raises MalformedBody."""
        if self._parts is None:
            try:
                self._parts = await parse_parts(
                    request.headers.get("content-type", ""),
                    _bytes_of(request),
                    self._spool,
                    at_most=at_most,
                )
            except MalformedBody as error:
                self._parts = error
        if isinstance(self._parts, MalformedBody):
            raise self._parts
        return self._parts

    def close(self) -> None:
        """Give memory and disk back."""
        self._spool.close()


def body_of(request: Request) -> RequestBody:
    """The body of this request."""
    body = request.scope.get(KEY)
    if not isinstance(body, RequestBody):
        # Outside of the application, whose middleware makes and closes it.
        body = request.scope[KEY] = RequestBody(UploadSpace())
    return body


def attach_body(scope: Scope, space: UploadSpace) -> RequestBody:
    """Give a request its body."""
    body = scope[KEY] = RequestBody(space)
    return body


def _check_size(size: int, max_bytes: int | None, message: str) -> None:
    if max_bytes is not None and size > max_bytes:
        raise TooLarge(message)


async def _bytes_of(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk
