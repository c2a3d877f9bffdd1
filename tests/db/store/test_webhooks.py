"""Posts to webhooks reach real servers, and nothing inward that was not allowed."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from db.store.webhooks import WebhookClient, hosts_of, webhook_host
from models.domain.errors import InvalidInput, Unavailable
from tests.support.webhooks import receiver

OWN = {"127.0.0.1"}


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of a server on loopback that answers one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            connection, _ = listening.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        thread.join(5)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The addresses that sockets were connected to."""
    found: list[object] = []
    connect = socket.create_connection

    def noting(address: tuple[str, int], *given: object, **named: object) -> socket.socket:
        found.append(address)
        return connect(address, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", noting)
    return found


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "2130706433",
        "0x7f.1",
        "10.0.0.1",
        "inward.example",
        "mixed.example",
    ],
)
def test_nothing_is_opened_inward(host: str, opened: list[object]) -> None:
    inward = {"inward.example": ["127.0.0.1"], "mixed.example": ["93.184.215.14", "10.0.0.1"]}

    def find(name: str, port: int) -> list[str]:
        addresses = inward.get(name)
        if addresses is None:
            found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
            addresses = [str(address[0]) for *_, address in found]
        return addresses

    client = WebhookClient(find=find)
    with pytest.raises(InvalidInput, match="not public"):
        client.post(f"https://{host}/", b"{}", {})
    assert opened == []


def test_redirects_are_not_followed() -> None:
    with receiver() as elsewhere:
        there = elsewhere.url.encode()

        def answer(connection: socket.socket) -> None:
            connection.recv(2**16)
            moved = b"HTTP/1.1 307 Moved\r\nContent-Length: 0\r\nLocation: " + there
            connection.sendall(moved + b"\r\n\r\n")

        with answering(answer) as url, closing(WebhookClient(OWN)) as client:
            assert client.post(url, b"{}", {}) == 307
        assert (elsewhere.received, elsewhere.refused) == ([], 0)


def test_an_endless_answer_is_not_read() -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(2**16)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(OSError):
            while True:
                connection.sendall(bytes(2**16))

    with answering(answer) as url, closing(WebhookClient(OWN, seconds=5)) as client:
        assert client.post(url, b"{}", {}) == 200


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_host_that_takes_too_long_is_left(said: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(said)
        while connection.recv(2**16):
            pass

    with (
        answering(answer) as url,
        closing(WebhookClient(OWN, seconds=0.3)) as client,
        pytest.raises(Unavailable, match="too long"),
    ):
        client.post(url, b"{}", {})


def test_a_host_that_speaks_something_else_is_unavailable() -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(2**16)
        connection.sendall(b"220 smtp\r\n\r\n")

    with (
        answering(answer) as url,
        closing(WebhookClient(OWN)) as client,
        pytest.raises(Unavailable, match="not valid"),
    ):
        client.post(url, b"{}", {})


def test_nobody_there() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    with closing(WebhookClient(OWN)) as client, pytest.raises(Unavailable, match="reached"):
        client.post(f"http://127.0.0.1:{port}/", b"{}", {})


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    def answer(connection: socket.socket) -> None:
        assert connection.recv(2**16).startswith(b"POST / HTTP/1.1")
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    with answering(answer) as url, closing(WebhookClient(OWN)) as client:
        assert client.post(url, b"{}", {}) == 202


def test_hosts_as_a_setting_lists_them() -> None:
    assert hosts_of(" a.example,[::1], B.Example ,") == {"a.example", "::1", "b.example"}
    assert webhook_host("http://[::1]:8000/x", hosts_of("[::1]")) == "::1"
    assert webhook_host("https://A.example/", ()) == "a.example"
