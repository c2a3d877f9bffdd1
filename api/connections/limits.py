"""The connections of one process: how many may be open, and which one makes room for another."""

import resource
from dataclasses import dataclass, field
from typing import Final, Protocol

RESERVE: Final = 32
"""Connections beyond the limit, on which only probes are answered."""
OTHER_FILES: Final = 150
"""Descriptors that are needed beside connections and the files of their bodies."""
LEAST: Final = 16
"""Connections that are taken however few descriptors there are."""


class Closable(Protocol):
    """A connection, as it is ended to make room."""

    def make_room(self) -> None:
        """Close it: no request is under way on it."""


@dataclass
class Connections:
    """How many connections are open, and those on which no request is under way, oldest first.

    Used in one event loop. `client_timeout_s` is what a client may take for the head of a request,
    and longest for nothing of its body, or of the answer that it reads.
    """

    most: int = 1_000
    client_timeout_s: float = 20.0
    open: int = 0
    idle: dict[Closable, None] = field(default_factory=dict)

    @property
    def is_crowded(self) -> bool:
        """Whether there are more than are wanted, so that only probes are answered."""
        return self.open > self.most

    def added(self, connection: Closable) -> bool:
        """Count a connection; where there are too many, one without a request makes room.

        False if there is no room even so.
        """
        self.open += 1
        if self.open > self.most and self.idle:
            next(iter(self.idle)).make_room()
        self.idle[connection] = None
        return self.open <= self.most + RESERVE

    def removed(self, connection: Closable) -> None:
        """Count one that is closed."""
        self.open -= 1
        self.idle.pop(connection, None)

    def begun(self, connection: Closable) -> None:
        """A request is under way on it."""
        self.idle.pop(connection, None)

    def ended(self, connection: Closable) -> None:
        """The request on it was answered."""
        self.idle[connection] = None


def raise_descriptor_limit(connections: int) -> None:
    """Allow this process descriptors for so many connections, and a file for each, if it may."""
    wanted = 2 * (connections + RESERVE) + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def most_connections(wanted: int) -> int:
    """So many connections, or as many as this process has descriptors for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(min(wanted, (soft - OTHER_FILES) // 2 - RESERVE), LEAST)
