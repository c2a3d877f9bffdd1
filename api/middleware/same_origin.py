"""Same-origin check for a server on loopback that needs no key."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.caller import is_forwarded, is_loopback
from api.problems import problem_of
from models.domain.errors import Forbidden


class SameOriginOnly:
    """Refuses requests that pages of other origins make a browser on this machine send.

    Browsers send `Origin` with all unsafe requests, and after DNS rebinding `Host` still has the
    foreign name. Other clients send no `Origin`, and a loopback `Host`, or as health checks over
    HTTP/1.0 none: no browser does that. What a proxy has forwarded has the proxy's `Host`, and
    needs a key, which no browser adds by itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http" and not is_forwarded(scope):
            headers = Headers(scope=scope)
            host = headers.get("host", "")
            origin = headers.get("origin")
            foreign = origin is not None and (not host or urlsplit(origin).netloc != host)
            if foreign or (host and not _names_loopback(host)):
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
