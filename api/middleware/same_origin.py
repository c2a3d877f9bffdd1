"""Same-origin check for a server on loopback that asks for no key."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth import is_loopback
from api.problems import problem_of
from models.domain.errors import Forbidden


class SameOriginOnly:
    """Refuses requests that a foreign page made a browser on this machine send.

    A browser states the page's origin with whatever could change something, and a name that was
    rebound to this machine still stands in `Host`. Programs send neither of the two wrongly.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host = headers.get("host", "")
            origin = headers.get("origin")
            foreign = origin is not None and urlsplit(origin).netloc != host
            if foreign or not _names_loopback(host):
                refusal = Forbidden("Only pages and programs of this machine may call here.")
                await problem_of(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _names_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name is not None and is_loopback(name)
