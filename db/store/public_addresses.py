"""Connections to public addresses only, for URLs that come from elsewhere.

A name is resolved once, its addresses are checked, and it is connected to one that was checked:
were it resolved again to connect, its server could give another answer (DNS rebinding). See
https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from httpcore2 import (
    SOCKET_OPTION,
    ConnectError,
    ConnectTimeout,
    NetworkBackend,
    NetworkStream,
    ReadTimeout,
    SyncBackend,
    WriteTimeout,
)

Resolve = Callable[[str, int], Sequence[str]]
"""The addresses of a host name, as text. Raises OSError when there are none."""

# RFC 6052: the last 32 bits are an IPv4 address.
_NAT64 = IPv6Network("64:ff9b::/96")


def resolve(host: str, port: int) -> Sequence[str]:
    """What the system's resolver answers, which also takes `2130706433` and `0x7f.1`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Whether this is an address of the internet: no private, local, reserved or multicast one.

    An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4) is as public as that.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and (inner := _inner(parsed)) is not None:
        parsed = inner
    local = isinstance(parsed, IPv6Address) and parsed.is_site_local
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved or local)


def names_an_address(host: str) -> bool:
    """Whether a host is an address, as text, and not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


class NotPublic(Exception):
    """A host has an address that is not public; `address` is that."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


class Deadline(threading.local):
    """Until when this thread's fetch may take, in seconds of the monotonic clock."""

    at = 0.0

    def left(self, timeout: float | None, late: type[Exception]) -> float:
        """The seconds that an operation may take. Raises `late` when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise late("it takes too long")
        return left if timeout is None else min(left, timeout)


class PublicBackend(NetworkBackend):
    """Connects to public addresses, and to any of the hosts in `allowed_hosts` (lower case).

    `connect_tcp` raises NotPublic for a host any of whose addresses is not public. What is
    connected ends at the deadline of the thread that uses it.
    """

    def __init__(self, allowed_hosts: Collection[str], find: Resolve, deadline: Deadline) -> None:
        self._allowed_hosts = allowed_hosts
        self._resolve = find
        self._deadline = deadline
        self._backend = SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        """Connect to the first of the host's addresses that answers."""
        failed: Exception = ConnectError("the host has no address")
        for address in self._addresses(host, port):
            try:
                left = self._deadline.left(timeout, ConnectTimeout)
                stream = self._backend.connect_tcp(
                    address, port, left, local_address, socket_options
                )
            except (ConnectError, ConnectTimeout) as error:
                failed = error
            else:
                return _TimedStream(stream, self._deadline)
        raise failed

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise ConnectError("the host's name can't be resolved") from error
        if host.lower().rstrip(".") not in self._allowed_hosts:
            for address in addresses:
                if not is_public(address):
                    raise NotPublic(address)
        return addresses


class _TimedStream(NetworkStream):
    """A stream whose every operation ends at the deadline."""

    def __init__(self, stream: NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout, ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout, WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> NetworkStream:
        left = self._deadline.left(timeout, ConnectTimeout)
        return _TimedStream(
            self._stream.start_tls(ssl_context, server_hostname, left), self._deadline
        )

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)
