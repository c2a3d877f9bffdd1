"""A receiver of webhooks: a real HTTP server that verifies what it gets, as a shop's would."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from db.saved_searches.searches import Webhook as StoredWebhook

SECRET = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cw=="  # noqa: S105 - of a test


@dataclass(frozen=True)
class Received:
    """A request whose signature was right."""

    path: str
    message_id: str
    content: dict[str, Any]


class Receiver(ThreadingHTTPServer):
    """Answers with `statuses` in turn, then with `status`, after `seconds`.

    `received` are the requests that one of `secrets` has signed, `refused` counts the others.
    `holds` keeps requests from being answered while it is set.
    """

    request_queue_size = 128
    daemon_threads = True

    def __init__(self) -> None:
        self.secrets = [SECRET]
        self.received: list[Received] = []
        self.refused = 0
        self.statuses: list[int] = []
        self.status = 204
        self.seconds = 0.0
        self.most_at_once = 0
        self.holds = threading.Event()
        self.headers: dict[str, str] = {}
        self.body = b""
        self._at_once = 0
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    @property
    def webhook(self) -> StoredWebhook:
        """This receiver, as a saved search has it."""
        return StoredWebhook(self.url, "127.0.0.1", SECRET)

    @property
    def ids(self) -> list[str]:
        return [item.message_id for item in self.received]

    def answer_to(self, request: BaseHTTPRequestHandler) -> int:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in request.headers.items()}
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        content = self._verified(body, headers)
        self.received.append(Received(request.path, headers["webhook-id"], content))
        time.sleep(self.seconds)
        while self.holds.is_set():
            time.sleep(0.01)
        with self._lock:
            self._at_once -= 1
            return self.statuses.pop(0) if self.statuses else self.status

    def _verified(self, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        """The content, if one of the secrets has signed it."""
        for secret in self.secrets:
            with suppress(WebhookVerificationError):
                content: dict[str, Any] = Webhook(secret).verify(body, headers)
                return content
        self.refused += 1
        raise AssertionError("a webhook is not signed right")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        status = self.server.answer_to(self)
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.holds.clear()
            server.shutdown()
            thread.join()
