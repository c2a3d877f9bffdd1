"""Requests to URLs that others name: to public addresses only, each bounded in time."""

import logging
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from threading import Lock
from time import monotonic
from typing import Final

import httpcore2
import httpx2

from db.store.public_addresses import Deadline, PublicBackend, Resolve, resolve

MAX_URL: Final = 2_048
"""In characters."""
MAX_PORT: Final = 65_535


class PublicConnections:
    """Thread-safe; connects when first used.

    `allowed_hosts` (lower case, without brackets) are hosts whose addresses may be private ones.
    From `begin` on a thread's requests may take `seconds` together, `connect_seconds` of them for
    each connection.
    """

    def __init__(
        self,
        allowed_hosts: Collection[str],
        *,
        seconds: float,
        connect_seconds: float,
        find: Resolve = resolve,
    ) -> None:
        self._seconds = seconds
        self._timeout = {"connect": connect_seconds, "pool": seconds}
        self._deadline = Deadline()
        self._backend = PublicBackend(allowed_hosts, find, self._deadline)
        self._lock = Lock()
        self._pool: httpcore2.ConnectionPool | None = None

    def begin(self) -> None:
        """Let what this thread asks for from now on take `seconds`."""
        self._deadline.at = monotonic() + self._seconds

    def stream(
        self,
        method: str,
        url: httpx2.URL,
        headers: Iterable[tuple[bytes, bytes]],
        content: bytes | None = None,
    ) -> AbstractContextManager[httpcore2.Response]:
        """The response to a request, while the context lasts; no redirect is followed.

        Raises NotPublic, and httpcore2's TimeoutException, NetworkError, ProtocolError and
        UnsupportedProtocol. No cookies, credentials or proxies of the environment are used.
        """
        return self._connected().stream(
            method,
            httpcore2.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=[(b"Host", url.netloc), *headers],
            content=content,
            extensions={"timeout": self._timeout},
        )

    def _connected(self) -> httpcore2.ConnectionPool:
        with self._lock:
            if self._pool is None:
                # At DEBUG it logs whole URLs, which may hold secrets.
                logging.getLogger("httpcore2").setLevel(logging.INFO)
                self._pool = httpcore2.ConnectionPool(
                    max_connections=100,
                    max_keepalive_connections=20,
                    keepalive_expiry=5.0,
                    network_backend=self._backend,
                )
            return self._pool

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()
                self._pool = None
