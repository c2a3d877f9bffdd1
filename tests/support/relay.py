"""A TCP relay for tests: what happens between a client and a real server."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial

CHUNK = 2**14


class Relay:
    """Passes bytes on, counts those that go down to clients, and does to them as it is told.

    `cut_after` breaks each connection off once so many bytes went down it; `gone_after` all of
    them and every new one, once so many went down in all. `alter` changes what goes down.
    `seconds_a_chunk` slows it.
    """

    def __init__(self, target: int) -> None:
        self.down = 0
        self.connections = 0
        self.cut_after: int | None = None
        self.gone_after: int | None = None
        self.alter: Callable[[bytes], bytes] = bytes
        self.seconds_a_chunk = 0.0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def start(self) -> None:
        self._spawn(self._accept)

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            _end(connection)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self._target))
            for connection in (client, server):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            self._open |= {client, server}
            self._spawn(partial(self._pump_up, client, server))
            self._spawn(partial(self._pump_down, client, server))

    def _pump_up(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(CHUNK):
                server.sendall(data)
        _end(server)

    def _pump_down(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        with closing(client), closing(server):
            with suppress(OSError):
                while data := server.recv(CHUNK):
                    if _exceeds(passed + len(data), self.cut_after):
                        break
                    if _exceeds(self.down + len(data), self.gone_after):
                        break
                    client.sendall(self.alter(data))
                    passed += len(data)
                    self.down += len(data)
                    time.sleep(self.seconds_a_chunk)
            _end(client)
            _end(server)

    def _spawn(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()


@contextmanager
def relay_to(port: int) -> Iterator[Relay]:
    """A relay to a server on loopback."""
    relay = Relay(port)
    relay.start()
    try:
        yield relay
    finally:
        relay.stop()


def _exceeds(count: int, limit: int | None) -> bool:
    return limit is not None and count > limit


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
