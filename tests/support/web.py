"""A web server for tests: a folder's listings and files, with ranges or without."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import BinaryIO


class Handler(SimpleHTTPRequestHandler):
    """The standard library's, which knows no ranges, with those that one may want."""

    protocol_version = "HTTP/1.1"
    # It sends headers and content apart, which else wait for each other.
    disable_nagle_algorithm = True
    server: "FileServer"

    def do_GET(self) -> None:
        with self.server.counted(self):
            super().do_GET()

    def send_header(self, keyword: str, value: str) -> None:
        if self.server.versions or keyword != "Last-Modified":
            super().send_header(keyword, value)

    def send_head(self) -> BytesIO | BinaryIO | None:
        path = Path(self.translate_path(self.path))
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if self.server.status is not None:
            self.send_error(self.server.status)
            return None
        if not (self.server.ranges and wanted and path.is_file()):
            return super().send_head()
        content = path.read_bytes()
        start = int(wanted[1])
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        return BytesIO(content[start:])

    def log_message(self, *_: object) -> None:
        """Nothing."""


class FileServer(ThreadingHTTPServer):
    """Serves a folder on a loopback port.

    `requested` are the paths asked for, `authorizations` what came along; `most_at_once` is how
    many requests were under way at a time. `status` answers everything with an error; without
    `versions` nothing tells whether a file changed.
    """

    # Of more connections at once than it lets wait, some wait for seconds.
    request_queue_size = 128

    def __init__(self, folder: Path, *, ranges: bool) -> None:
        self.ranges = ranges
        self.versions = True
        self.status: HTTPStatus | None = None
        self.requested: list[str] = []
        self.authorizations: set[str | None] = set()
        self.most_at_once = 0
        self.seconds_a_request = 0.0
        self._at_once = 0
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))

    @contextmanager
    def counted(self, request: Handler) -> Iterator[None]:
        with self._lock:
            self.requested.append(request.path)
            self.authorizations.add(request.headers.get("Authorization"))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        time.sleep(self.seconds_a_request)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1


@contextmanager
def file_server(folder: Path, *, ranges: bool = True) -> Iterator[FileServer]:
    """Run a server of this folder."""
    with FileServer(folder, ranges=ranges) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
