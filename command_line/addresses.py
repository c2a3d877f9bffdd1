"""Addresses that servers of this machine listen on."""

import socket
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL, EPERM
from typing import Final

from models.domain.errors import Conflict, SetupError

LAST_PORT: Final = 65_535
OPENED_AT: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound
"""Where a server is opened that listens on all addresses."""
BACKLOG: Final = 2_048
"""Connections that wait to be accepted: as many as uvicorn lets wait."""
ADVICE: Final = (
    "It must be an address of this machine: 127.0.0.1 or ::1 for it alone, 0.0.0.0 or :: for all."
)


def free_port(host: str, port: int, tries: int = 100) -> int:
    """The first TCP port from `port` on that is free at a host; any free one if it is 0.

    Raises SetupError for a host that is not of this machine, for a port that this user may not
    have, and after `tries` busy ones.
    """
    for candidate in range(port, min(port + (tries if port else 1), LAST_PORT + 1)):
        try:
            return bound_port(host, candidate)
        except Conflict:
            continue
    raise SetupError(f"No free port from {port} on: set MARKETLENS_PORT.")


def bound_port(host: str, port: int) -> int:
    """The TCP port itself, or a free one if it is 0, found free at all addresses of a host.

    Raises Conflict when it is busy, and SetupError as `free_port` does.
    """
    for family, address in _addresses(host, port):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                raise _refusal(error, host, port) from error
            port = port or probe.getsockname()[1]
    return port


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens at a host's first address, for several processes one after the other.

    What connects while none of them accepts waits. Raises Conflict and SetupError as `bound_port`.
    """
    bound_port(host, port)
    family, address = min(_addresses(host, port))
    opened = socket.socket(family)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        opened.bind((address, port))
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        raise _refusal(error, host, port) from error
    return opened


def url_at(host: str, port: int) -> str:
    """The URL at which a server that listens on this host can be opened from this machine."""
    name = OPENED_AT.get(host, host)
    if ":" in name:
        # The zone of a link-local address (`fe80::1%eth0`) is escaped: RFC 6874.
        name = f"[{name.replace('%', '%25')}]"
    return f"http://{name}:{port}"


def _addresses(host: str, port: int) -> set[tuple[int, str]]:
    """The families and addresses of a host. Raises SetupError where it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SetupError(
            f"MARKETLENS_HOST={host} can't be listened on: {reason}. {ADVICE}"
        ) from error
    return {(int(family), str(address[0])) for family, _, _, _, address in found}


def _refusal(error: OSError, host: str, port: int) -> SetupError | Conflict:
    match error.errno:
        case code if code == EADDRINUSE:
            return Conflict(f"Port {port} of {host} is in use: set MARKETLENS_PORT to another one.")
        case code if code == EADDRNOTAVAIL:
            return SetupError(
                f"MARKETLENS_HOST={host} is no address of this machine that can be had. {ADVICE}"
            )
        case code if code in {EACCES, EPERM}:
            return SetupError(
                f"Port {port} needs a right that this user lacks: set MARKETLENS_PORT to 1024 or "
                "more."
            )
        case _:
            return SetupError(f"{host}, port {port}, can't be listened on: {error.strerror}.")
