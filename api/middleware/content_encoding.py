"""Refuses compressed request bodies: a small one could become one that fills the memory."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import problem_of
from models.domain.errors import UnsupportedBody


class IdentityOnly:
    """Answers 415 to a body with a content coding, and says which one is taken (RFC 9110)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 415."""
        codings = _codings(scope) if scope["type"] == "http" else ""
        if not codings:
            await self._app(scope, receive, send)
            return
        refusal = UnsupportedBody(f"The body is compressed ({codings}): send it as it is.")
        response = problem_of(refusal)
        response.headers["Accept-Encoding"] = "identity"
        # The body is not read, so the connection can't be reused.
        response.headers["Connection"] = "close"
        await response(scope, receive, send)


def _codings(scope: Scope) -> str:
    """The content codings other than identity, as they are stated."""
    stated = ",".join(Headers(scope=scope).getlist("content-encoding")).lower().split(",")
    return ", ".join(coding for coding in map(str.strip, stated) if coding not in {"", "identity"})
