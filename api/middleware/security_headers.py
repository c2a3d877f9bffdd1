"""Security headers of every response, among them the Content-Security-Policy."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Nothing from other origins, and nothing inline; sent with responses of every kind.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The API reference has an inline script.
PATH_WITHOUT_POLICY = "/docs"


class SecurityHeaders:
    """Adds headers to every response: no foreign content, no sniffing, no framing, no referrer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, adding headers to its response."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"x-content-type-options", b"nosniff"),
                    (b"x-frame-options", b"DENY"),
                    (b"referrer-policy", b"no-referrer"),
                ]
                if scope["path"] != PATH_WITHOUT_POLICY:
                    policy = (b"content-security-policy", CONTENT_SECURITY_POLICY.encode())
                    message["headers"].append(policy)
            await send(message)

        await self._app(scope, receive, with_headers)
