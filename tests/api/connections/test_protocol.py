"""What clients may take of a connection: bytes, time, and connections themselves."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
from fastapi import FastAPI

from api.connections import protocol
from api.connections.limits import RESERVE, Connections
from db.jobs import reading
from db.session import Database
from models.domain.types import JobStatus, JobType
from tests.support.pictures import jpeg
from tests.support.raw_http import BOUNDARY, RawResponse, RawServer, form_of, parsed, serving
from tests.support.waiting import wait_until

TIMEOUT_S = 20
HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: "
PHOTO = ('Content-Disposition: form-data; name="photo"; filename="a.jpg"', jpeg(1))


@pytest.fixture
def serve(make_app: Callable[..., FastAPI]) -> Iterator[Callable[..., RawServer]]:
    """Serves the application with these settings."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(make_app(**settings)))


@contextmanager
def connected(server: RawServer, sent: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as connection:
        connection.sendall(sent)
        yield connection


def received(connection: socket.socket) -> bytes:
    """All that comes until the server closes; nothing if it is reset."""
    some = b""
    try:
        while piece := connection.recv(65_536):
            some += piece
    except ConnectionResetError:
        pass
    return some


def asked(server: RawServer, path: str) -> RawResponse:
    return server.ask(f"GET {path}")


def waiting_search(server: RawServer) -> bytes:
    """A search that is waited for, which no worker answers."""
    body = form_of(PHOTO)
    head = (
        f"POST /v1/searches HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nPrefer: wait=30\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def test_a_head_that_does_not_end_is_not_awaited(serve: Callable[..., RawServer]) -> None:
    server = serve(client_timeout_seconds=0.3)
    for sent in (b"", b"G", HALF_A_HEAD):
        with connected(server, sent) as connection:
            assert received(connection) == b""
    assert asked(server, "/healthz").status == 200


def test_heads_that_do_not_end_make_room_for_others(serve: Callable[..., RawServer]) -> None:
    server = serve(max_connections=20)
    with ExitStack() as stack:
        half = [stack.enter_context(connected(server, HALF_A_HEAD)) for _ in range(60)]
        for _ in range(5):
            assert asked(server, "/healthz").status == 200
            assert server.post_form("/v1/searches", PHOTO).status == 202
        # The oldest were closed, the newest goes on.
        assert received(half[0]) == b""
        half[-1].sendall(b"1\r\nConnection: close\r\n\r\n")
        assert received(half[-1]).startswith(b"HTTP/1.1 200")


def test_probes_are_answered_when_all_connections_have_requests(
    make_app: Callable[..., FastAPI],
) -> None:
    app = make_app(max_connections=16)
    waiting = app.state.resources.ended_jobs._waiting
    with ExitStack() as stack:
        server = stack.enter_context(serving(app))
        for number in range(16):
            stack.enter_context(connected(server, waiting_search(server)))
            wait_until(partial(lambda wanted: len(waiting) == wanted, number + 1))
        refused = asked(server, "/v1/listings")
        assert json.loads(refused.body)["code"] == "overloaded"
        assert int(refused.headers["retry-after"]) > 0
        assert asked(server, "/healthz").status == 200


def test_a_body_that_comes_too_slowly(serve: Callable[..., RawServer]) -> None:
    server = serve(client_timeout_seconds=0.3)
    head = b"POST /v1/searches HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
    for sent in (b"Content-Type: application/json\r\n\r\n{", b"Content-Type: image/jpeg\r\n\r\n"):
        with connected(server, head + sent) as connection:
            response = parsed(received(connection))
        assert response.status == 408
        assert json.loads(response.body)["code"] == "request_timeout"


def test_a_body_that_comes_steadily_is_awaited(
    serve: Callable[..., RawServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LEAST_BYTES_A_SECOND", 1)
    server = serve(client_timeout_seconds=0.3)
    whole = waiting_search(server).replace(b"Prefer: wait=30", b"Connection: close")
    with connected(server, b"") as connection:
        for at in range(0, len(whole), 500):
            connection.sendall(whole[at : at + 500])
            assert asked(server, "/healthz").status == 200
        assert parsed(received(connection)).status == 202


@pytest.mark.parametrize(
    "fields",
    ["".join(f"X-{number}: {'a' * 1_000}\r\n" for number in range(40)), "X: a\r\n" * 150],
    ids=["large", "many"],
)
def test_a_head_that_is_too_large(serve: Callable[..., RawServer], fields: str) -> None:
    server = serve()
    for line in ("GET /healthz", "POST /v1/searches"):
        with connected(server, f"{line} HTTP/1.1\r\nHost: x\r\n{fields}".encode()) as connection:
            response = parsed(received(connection))
        assert response.status == 431
        assert json.loads(response.body)["code"] == "head_too_large"
    with connected(server, b"GET /" + b"a" * 40_000) as connection:
        assert parsed(received(connection)).status == 431


def test_a_client_that_sends_on_reads_why_it_was_refused(serve: Callable[..., RawServer]) -> None:
    server = serve(max_upload_bytes=100_000)
    line = "POST /v1/searches HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    head = f"{line}Content-Type: image/jpeg\r\n"
    for stated in ("Content-Length: 3000000", "Transfer-Encoding: chunked"):
        with connected(server, f"{head}{stated}\r\n\r\n".encode()) as connection:
            for _ in range(30):
                piece = bytes(100_000)
                framed = b"%x\r\n%s\r\n" % (len(piece), piece)
                connection.sendall(framed if "chunked" in stated else piece)
            assert parsed(received(connection)).status == 413


def test_an_answer_that_is_not_read_is_not_kept(
    serve: Callable[..., RawServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[Connections] = []

    def made(most: int, client_timeout_s: float) -> Connections:
        connections.append(Connections(most, client_timeout_s))
        return connections[0]

    monkeypatch.setattr("api.main.Connections", made)
    server = serve(client_timeout_seconds=0.3)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(TIMEOUT_S)
        connection.connect(("127.0.0.1", server.port))
        line = "GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1"
        # More than what the system keeps of it for a client that reads nothing.
        connection.sendall(f"{line}\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode() * 20)
        wait_until(lambda: connections[0].open == 1, TIMEOUT_S)
        wait_until(lambda: connections[0].open == 0, TIMEOUT_S)


@pytest.mark.parametrize("how", ["wait", "events"])
def test_who_has_hung_up_is_not_waited_for(
    make_app: Callable[..., FastAPI], database: Database, how: str
) -> None:
    app = make_app()
    waiting = app.state.resources.ended_jobs._waiting
    with serving(app) as server:
        sent = waiting_search(server)
        if how == "events":
            location = server.post_form("/v1/searches", PHOTO).headers["location"]
            line = f"GET {location}/events HTTP/1.1"
            sent = f"{line}\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(connected(server, sent))
            wait_until(lambda: sum(map(len, waiting.values())) == 3)
        wait_until(lambda: not waiting)
    with database.read() as session:
        job = reading.newest(session, JobType.SEARCH)
    assert job is not None
    assert job.status is JobStatus.QUEUED


class Closed:
    """A connection that notes that it was closed."""

    def __init__(self, connections: Connections) -> None:
        self.connections, self.closed = connections, False

    def make_room(self) -> None:
        self.closed = True
        self.connections.removed(self)


def test_only_connections_without_a_request_make_room() -> None:
    connections = Connections(most=3)
    each = [Closed(connections) for _ in range(4 + RESERVE)]
    for one in each[:3]:
        assert connections.added(one)
    connections.begun(each[0])
    connections.begun(each[1])
    connections.ended(each[1])
    assert connections.added(each[3])
    assert [one.closed for one in each[:4]] == [False, False, True, False]
    connections.begun(each[1])
    connections.begun(each[3])
    for one in each[4:]:
        assert connections.added(one)
        connections.begun(one)
    assert connections.is_crowded
    assert not connections.added(Closed(connections))
