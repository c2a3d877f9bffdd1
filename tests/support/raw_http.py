"""The application behind the server that serves it, spoken to byte by byte."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

import uvicorn
from fastapi import FastAPI

from api.connections.protocol import BoundedProtocol
from tests.support.waiting import wait_until

TIMEOUT_S = 20
BOUNDARY = "x-boundary"


@dataclass(frozen=True)
class RawResponse:
    """A response as it came over the connection. Names of headers are in lower case."""

    version: str
    status: int
    headers: dict[str, str]
    body: bytes


def parsed(received: bytes) -> RawResponse:
    """A response from the bytes that came."""
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, *_ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return RawResponse(version, int(status), headers, body)


@dataclass(frozen=True)
class RawServer:
    """Where the application listens."""

    port: int

    def send(self, request: bytes) -> RawResponse:
        """The response to a request that has the connection closed after it."""
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S) as connection:
            connection.sendall(request)
            received = b""
            while some := connection.recv(65_536):
                received += some
        return parsed(received)

    def ask(self, line: str, *headers: str, body: bytes = b"") -> RawResponse:
        """The response to a request with these headers beside those that every one needs."""
        needed = [f"Host: 127.0.0.1:{self.port}", "Connection: close"]
        if body:
            needed.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([f"{line} HTTP/1.1", *needed, *headers])
        return self.send(head.encode() + b"\r\n\r\n" + body)

    def post_form(self, path: str, *parts: tuple[str, bytes], headers: str = "") -> RawResponse:
        """The response to a form of parts, each its headers and its bytes."""
        stated = headers or f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
        return self.ask(f"POST {path}", stated, body=form_of(*parts))


def form_of(*parts: tuple[str, bytes]) -> bytes:
    """A multipart body of parts, each its headers and its bytes."""
    begin = f"--{BOUNDARY}\r\n".encode()
    written = [begin + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts]
    return b"".join(written) + f"--{BOUNDARY}--\r\n".encode()


@contextmanager
def serving(app: FastAPI) -> Iterator[RawServer]:
    """Serve the application with the protocol that `marketlens api` uses."""
    config = uvicorn.Config(app, http=BoundedProtocol, log_level="critical", access_log=False)
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            wait_until(lambda: server.started, TIMEOUT_S)
            yield RawServer(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()
