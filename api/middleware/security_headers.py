"""Security headers of every response, among them the Content-Security-Policy."""

import re
from base64 import b64encode
from hashlib import sha256
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
"""Nothing from other origins, and nothing inline; sent with responses of every kind."""

FEATURES: Final = (
    *("accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen"),
    *("geolocation", "gyroscope", "magnetometer", "microphone", "midi", "payment"),
    *("picture-in-picture", "publickey-credentials-get", "screen-wake-lock", "usb"),
)
"""What a page could ask a browser for; ours asks for none."""

DOCS_PATHS: Final = frozenset({"/docs", "/docs/oauth2-redirect"})
"""The API reference, made by FastAPI: it has inline scripts, and styles that its script adds."""

_INLINE_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)

_ALWAYS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", ", ".join(f"{name}=()" for name in FEATURES).encode()),
]


class SecurityHeaders:
    """Adds headers to every response: no foreign content, no sniffing, no framing, no referrer.

    With `hsts_seconds` browsers are told to call this host by HTTPS only, for so long. It is the
    outermost layer, so that what broke is answered with them, too.
    """

    def __init__(self, app: ASGIApp, hsts_seconds: int = 0) -> None:
        self._app = app
        self._headers = [*_ALWAYS]
        if hsts_seconds:
            value = f"max-age={hsts_seconds}".encode()
            self._headers.append((b"strict-transport-security", value))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, adding headers to its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] in DOCS_PATHS:
            await self._app(scope, receive, self._with_hashes(send))
        else:
            await self._app(scope, receive, self._with_policy(send))

    def _with_policy(self, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = self._completed(message, _NOTHING_INLINE)
            await send(message)

        return sent

    def _with_hashes(self, send: Send) -> Send:
        """The response with a policy that allows the inline scripts which it has, and no others."""
        start: Message | None = None

        async def sent(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start is not None:
                await send(self._completed(start, policy_of_docs(message.get("body", b""))))
                start = None
            await send(message)

        return sent

    def _completed(self, start: Message, policy: bytes) -> Message:
        headers = [*start["headers"], *self._headers, (b"content-security-policy", policy)]
        return {**start, "headers": headers}


def policy_of_docs(page: bytes) -> bytes:
    """The Content-Security-Policy of the API reference: its own inline scripts, by their hashes."""
    hashes = [
        f"'sha256-{b64encode(sha256(script).digest()).decode()}'"
        for script in _INLINE_SCRIPT.findall(page)
    ]
    scripts = " ".join(["'self'", *hashes])
    return _as_header(
        {**POLICY, "script-src": scripts, "style-src": "'self' 'unsafe-inline'"},
    )


def _as_header(policy: dict[str, str]) -> bytes:
    return "; ".join(f"{name} {value}" for name, value in policy.items()).encode()


_NOTHING_INLINE: Final = _as_header(POLICY)
