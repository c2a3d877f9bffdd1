"""uvicorn's HTTP protocol with limits that it lacks: sizes of heads, time for heads and bodies."""

import asyncio
from http import HTTPStatus
from typing import Final

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.connections.limits import Connections
from api.problems import problem_of
from models.domain.errors import HeadTooLarge, MarketlensError, Overloaded, TooSlow

KEY: Final = "marketlens.connections"
PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
MAX_HEAD_BYTES: Final = 32 << 10
MAX_HEADERS: Final = 100
LEAST_BYTES_A_SECOND: Final = 10_000
"""A body may come more slowly for the time that a client has, not longer."""
LINGER_S: Final = 5.0
"""How long the rest of a body that was refused is passed over, so that the answer arrives."""
LOOK_EVERY_S: Final = 1.0
RETRY_AFTER_S: Final = 5
_SLOW: Final = "The request came too slowly: it was not awaited any longer."
_LARGE_HEAD: Final = (
    f"The head of a request has at most {MAX_HEAD_BYTES:,} bytes and {MAX_HEADERS} fields."
)


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    - A head that is too large is answered with 431, one that takes too long is not awaited.
    - A body that comes too slowly is answered with 408.
    - An answer that the client does not read is not kept for long.
    - When there are too many connections, one without a request under way is closed; if there is
      none, requests other than probes are answered with 429.
    - A connection on which a request was refused before its body had come is closed once the
      client has had time to read the answer: a reset would take it away.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count it, and begin to look after it."""
        super().connection_made(transport)
        self._all: Connections = self.app_state.setdefault(KEY, Connections())
        self._application = self.app
        self._head_bytes = self._head_fields = 0
        self._is_head_too_large = False
        self._head_since: float | None = self.loop.time()
        self._body_bytes = 0
        self._waited_s = self._stalled_s = 0.0
        self._lingering_since: float | None = None
        self._looking = self.loop.call_later(LOOK_EVERY_S, self._look)
        if not self._all.added(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no longer."""
        self._looking.cancel()
        self._all.removed(self)
        super().connection_lost(exc)

    def make_room(self) -> None:
        """Close it for another one: no request is under way on it."""
        self._all.idle.pop(self, None)
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse what was received, unless it is the rest of what was refused."""
        if self._lingering_since is not None:
            return
        if self._head_since is None and not self._is_under_way:
            self._head_since = self.loop.time()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._head_bytes = self._head_fields = 0

    def on_url(self, url: bytes) -> None:
        """Count its bytes."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count its bytes."""
        self._head_fields += 1
        self._count_head(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin the request."""
        self._head_since = None
        self._body_bytes, self._waited_s = 0, 0.0
        self._all.begun(self)
        self.app = self._answer
        super().on_headers_complete()
        self.cycle.transport = _Lingering(self)  # type: ignore[assignment] # what a cycle uses of it

    def on_body(self, body: bytes) -> None:
        """Count its bytes."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._stalled_s = 0.0
        super().on_response_complete()
        if not self.pipeline and not self._is_under_way:
            self._all.ended(self)

    def send_400_response(self, msg: str) -> None:
        """Refuse what can't be parsed."""
        if self._is_head_too_large:
            self._refuse(HeadTooLarge(_LARGE_HEAD))
        else:
            super().send_400_response(msg)

    def linger(self) -> None:
        """Close it, after the rest of a body that is not read, so that the answer is not lost."""
        if self._awaits_body and not self.transport.is_closing():
            self._close_late()
        else:
            self.transport.close()

    @property
    def _is_under_way(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _awaits_body(self) -> bool:
        return self.cycle is not None and self.cycle.more_body

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._all.is_crowded and scope["path"] not in PROBES:
            refusal = Overloaded(
                "Too many connections are open: try again later.", retry_after_s=RETRY_AFTER_S
            )
            response = problem_of(refusal)
            response.headers["Connection"] = "close"
            await response(scope, receive, send)
            return
        await self._application(scope, receive, send)

    def _count_head(self, length: int) -> None:
        self._head_bytes += length
        if self._head_bytes > MAX_HEAD_BYTES or self._head_fields > MAX_HEADERS:
            self._is_head_too_large = True
            raise ValueError(_LARGE_HEAD)  # the parser ends, see `send_400_response`

    def _look(self) -> None:
        """See each second whether the client takes too long."""
        self._looking = self.loop.call_later(LOOK_EVERY_S, self._look)
        now, patience_s = self.loop.time(), self._all.client_timeout_s
        if self._lingering_since is not None:
            if now - self._lingering_since > LINGER_S:
                self.transport.abort()
        elif self._head_since is not None and not self._is_under_way:
            if now - self._head_since > patience_s:
                self.transport.abort()
        elif self.flow.write_paused:
            self._stalled_s += LOOK_EVERY_S
            if self._stalled_s > patience_s:
                self.transport.abort()
        elif self._is_under_way and self._awaits_body and not self.flow.read_paused:
            self._waited_s += LOOK_EVERY_S
            if self._waited_s > patience_s + self._body_bytes / LEAST_BYTES_A_SECOND:
                self._refuse(TooSlow(_SLOW))
        else:
            self._stalled_s = 0.0

    def _refuse(self, error: MarketlensError) -> None:
        """Answer without the application, unless it has begun to, and close."""
        if not self._is_under_way or not self.cycle.response_started:
            response = problem_of(error)
            status = HTTPStatus(response.status_code)
            headers = [*response.raw_headers, (b"connection", b"close")]
            lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
            lines += [name + b": " + value for name, value in headers]
            self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self._close_late()

    def _close_late(self) -> None:
        self._lingering_since = self.loop.time()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()


class _Lingering:
    """The transport as a request's cycle uses it: it is not closed before the answer is read."""

    def __init__(self, protocol: BoundedProtocol) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        # Where the client was too slow it is closed already: what is written on is for nobody.
        if not self.is_closing():
            self._protocol.transport.write(data)

    def is_closing(self) -> bool:
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        self._protocol.linger()
