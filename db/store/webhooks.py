"""Posts to webhooks: to public addresses only, bounded in time, without following redirects."""

from collections.abc import Collection, Mapping
from typing import Final

import httpcore2
import httpx2

from db.store.public_addresses import (
    NotPublic,
    Resolve,
    is_public,
    names_an_address,
    resolve,
)
from db.store.public_connections import MAX_PORT, MAX_URL, PublicConnections
from models.domain.errors import InvalidInput, Unavailable

POST_SECONDS: Final = 10.0
"""For one request, until the answer's status is there; what follows is not read."""

CONNECT_SECONDS: Final = 5.0
NOT_PUBLIC: Final = (
    "The webhook's host has an address that is not public, and is not one of "
    "MARKETLENS_WEBHOOK_HOSTS."
)


def hosts_of(setting: str) -> frozenset[str]:
    """The hosts that a setting lists, separated by commas."""
    return frozenset(host.strip().strip("[]").lower() for host in setting.split(",")) - {""}


def webhook_host(url: str, allowed_hosts: Collection[str]) -> str:
    """The host that a webhook's URL names, in lower case; nothing is resolved.

    Raises InvalidInput unless it is an https URL without a user and a password, and of no address
    that is known not to be public. Of an allowed host it may be http, and any address.
    """
    return _parsed(url, allowed_hosts).host.lower()


class WebhookClient:
    """Posts to webhooks. Thread-safe; connects when first used.

    `allowed_hosts` are hosts whose addresses may be private ones, such as a server of one's own.
    """

    def __init__(
        self,
        allowed_hosts: Collection[str] = (),
        *,
        seconds: float = POST_SECONDS,
        find: Resolve = resolve,
    ) -> None:
        self._allowed_hosts = frozenset(allowed_hosts)
        self._connections = PublicConnections(
            self._allowed_hosts, seconds=seconds, connect_seconds=CONNECT_SECONDS, find=find
        )

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send JSON; gives the status of the answer.

        Raises InvalidInput as `webhook_host` does, and where the host's name leads to an address
        that is not public; Unavailable when it can't be reached or takes too long.
        """
        self._connections.begin()
        sent = {"Content-Type": "application/json", "User-Agent": "marketlens"} | dict(headers)
        encoded = [(name.encode("ascii"), value.encode("ascii")) for name, value in sent.items()]
        parsed = _parsed(url, self._allowed_hosts)
        try:
            with self._connections.stream("POST", parsed, encoded, body) as response:
                return response.status
        except NotPublic:
            raise InvalidInput(NOT_PUBLIC) from None
        except httpcore2.TimeoutException as error:
            raise Unavailable("It takes too long to answer.") from error
        except httpcore2.NetworkError as error:
            raise Unavailable("It can't be reached.") from error
        except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol) as error:
            raise Unavailable("Its answer is not valid.") from error

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()


def _parsed(url: str, allowed_hosts: Collection[str]) -> httpx2.URL:
    if len(url) > MAX_URL:
        raise InvalidInput(f"A webhook's URL has at most {MAX_URL:,} characters.")
    try:
        parsed = httpx2.URL(url)
        host = parsed.host.lower()
        is_valid = bool(host) and (parsed.port is None or 0 < parsed.port <= MAX_PORT)
    except (httpx2.InvalidURL, ValueError, UnicodeError):
        is_valid = False
    if not is_valid:
        raise InvalidInput("The webhook's URL is not valid.")
    if parsed.userinfo:
        raise InvalidInput("The webhook's URL has a user or a password: it is signed instead.")
    if parsed.scheme not in {"http", "https"}:
        raise InvalidInput("The webhook's URL must begin with https://.")
    if host.rstrip(".") in allowed_hosts:
        return parsed
    if parsed.scheme != "https":
        raise InvalidInput(
            "The webhook's URL must begin with https://; http is for MARKETLENS_WEBHOOK_HOSTS."
        )
    if names_an_address(host) and not is_public(host):
        raise InvalidInput(NOT_PUBLIC)
    return parsed
