"""A web server on loopback that has drawn photos, and other things that hosts of photos do."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.pictures import jpeg

HERE = "127.0.0.1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "PhotoHost"

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asked[self.path] += 1
        with suppress(OSError):
            self._answer()

    def _answer(self) -> None:
        what = self.path.strip("/").partition("?")[0].removesuffix(".jpg")
        if what == "hang":
            self.server.released.wait(60)
        if self.path in self.server.statuses:
            self.send_error(self.server.statuses[self.path])
        elif what in {"to", "inward"}:
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", self.path.partition("?")[2])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif what == "endless":
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            while True:
                self.wfile.write(bytes(65_536))
        elif what.isdigit() or what == "hang":
            body = jpeg(int(what) if what.isdigit() else 0)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class PhotoHost(ThreadingHTTPServer):
    """`/7.jpg` is a drawn photo, `/hang` answers once it is `released`, `/endless` does not end.

    `/to?URL` leads there. `asked` counts requests by path, `statuses` are errors that paths have.
    """

    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.asked: Counter[str] = Counter()
        self.statuses: dict[str, HTTPStatus] = {}
        self.released = threading.Event()
        super().__init__((HERE, 0), _Handler)

    def url(self, path: str, host: str = "photos.example") -> str:
        """The URL of a path, by a name that the test's resolver knows."""
        return f"http://{host}:{self.server_port}/{path}"


@contextmanager
def photo_host() -> Iterator[PhotoHost]:
    """Run such a server."""
    with PhotoHost() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()
