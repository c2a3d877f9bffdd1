"""Who makes a request: the holder of a key, or this machine; and what of others they may see."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from starlette.types import Scope

_FORWARDED: Final = frozenset(
    {
        *(b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip"),
        *(b"x-original-forwarded-for", b"true-client-ip", b"cf-connecting-ip", b"x-envoy-peer"),
    }
)
"""Headers that reverse proxies add, beside all that begin with `X-Forwarded-`."""


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is that of the caller's key; keys of one name are one owner's, as when one is rotated.

    `sees_all` is so for admin keys, and for this machine where it needs no key.
    """

    name: str | None = None
    sees_all: bool = False

    def may_see(self, made_by: str | None) -> bool:
        """Whether what a key of this name has made may be seen; by None, what no key has made."""
        return self.sees_all or made_by is None or made_by == self.name

    @property
    def listed_for(self) -> str | None:
        """Whose things a list shows to this caller; None for everybody's."""
        return None if self.sees_all else self.name or ""


NOBODY: Final = Caller()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    # Python 3.11 itself takes `::ffff:127.0.0.1` for an address of a network.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def is_of_this_machine(scope: Scope) -> bool:
    """Whether a request comes from this machine itself, and not through a reverse proxy on it.

    A proxy is known by the headers that it adds, or by HTTP/1.0: nginx speaks that to what is
    behind it unless told otherwise, and adds no header.
    """
    client = scope.get("client")
    if client is None or not is_loopback(client[0]) or scope.get("http_version") == "1.0":
        return False
    return not is_forwarded(scope)


def is_forwarded(scope: Scope) -> bool:
    """Whether a request says that it came through a proxy."""
    return any(
        name in _FORWARDED or name.startswith(b"x-forwarded-") for name, _ in scope["headers"]
    )
