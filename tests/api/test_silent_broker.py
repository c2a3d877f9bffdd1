"""A broker that takes connections and never answers: nobody who asks for something waits for it."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.support.http import MakeClient, create_listing, submit_photo
from tests.support.waiting import wait_until
from workers.queue import broker
from workers.queue.broker import SOCKET

CLIENTS = 24


class SilentServer:
    """A server that reads, and says nothing until it is stopped."""

    def __init__(self, place: Path) -> None:
        self.asked = Event()
        self.given_up = Event()
        """A client has closed its connection."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        self._listener.listen()
        self._open: list[socket.socket] = []
        Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Hang up, and take no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while connection.recv(4096):
                self.asked.set()
        self.given_up.set()


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentServer]:
    # Longer than the tests take: whoever waits for an answer waits for that time.
    monkeypatch.setitem(broker.PRODUCER_TRANSPORT, "socket_timeout", 60)
    server = SilentServer(tmp_path / "silent.sock")
    yield server
    server.stop()


def test_jobs_are_accepted_while_the_broker_says_nothing(
    make_client: MakeClient, tmp_path: Path, silent: SilentServer
) -> None:
    client = make_client(redis_url=f"{SOCKET}://{tmp_path}/silent.sock")
    with ThreadPoolExecutor(CLIENTS) as clients:
        searches = list(clients.map(lambda _: submit_photo(client, "search"), range(CLIENTS)))
    answers = [*searches, submit_photo(client, "embedding"), create_listing(client)]
    assert {answer.status_code for answer in answers} == {202}
    wait_until(silent.asked.is_set)
    assert not silent.given_up.is_set()
    # Else closing the application would wait as long for what is being published.
    silent.stop()
