"""Photos at URLs that others name: from public addresses only, bounded in bytes and time."""

from collections.abc import Callable, Collection
from functools import partial
from http import HTTPStatus
from typing import Final

import httpcore2
import httpx2

from db.store.public_addresses import NotPublic, Resolve, resolve
from db.store.public_connections import MAX_PORT, MAX_URL, PublicConnections
from models.domain.errors import InvalidInput, Unavailable
from models.domain.urls import redact

FETCH_SECONDS: Final = 30.0
"""For one photo, redirects included."""

CONNECT_SECONDS: Final = 10.0
MAX_REDIRECTS: Final = 5
NOT_PUBLIC: Final = (
    "The photo's host has an address that is not public, and is not one of MARKETLENS_PHOTO_HOSTS"
)
NOT_ALLOWED: Final = (
    "Photos at URLs are not fetched here: send the photo itself, or set MARKETLENS_PHOTO_URLS=all."
)
NOT_VALID: Final = "The photo's URL is not valid"

_REDIRECTS: Final = (
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
)
_TRANSIENT: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
_HEADERS: Final = (
    (b"User-Agent", b"marketlens"),
    (b"Accept", b"image/*"),
    # Lengths must be those of the photo, not of a compressed response.
    (b"Accept-Encoding", b"identity"),
)


class PhotoUrls:
    """Fetches photos by URL. Thread-safe; connects on first use, and can be pickled before.

    `allowed_hosts` are hosts whose addresses may be private ones, such as an image server of one's
    own. `seconds` is the time for one photo.
    """

    def __init__(
        self,
        allowed_hosts: Collection[str] = (),
        *,
        seconds: float = FETCH_SECONDS,
        find: Resolve = resolve,
    ) -> None:
        self._allowed_hosts = frozenset(host.strip("[]").lower() for host in allowed_hosts)
        self._seconds = seconds
        self._find = find
        self._connections = PublicConnections(
            self._allowed_hosts, seconds=seconds, connect_seconds=CONNECT_SECONDS, find=find
        )

    def fetch(self, url: str, max_bytes: int) -> bytes:
        """The bytes at an http or https URL, not decoded.

        Raises InvalidInput with the reason when the URL is none, or leads to an address that is
        not public, to nothing, to too many bytes or too many redirects; Unavailable when it can't
        be reached, takes too long or breaks off. No error shows a query.
        """
        self._connections.begin()
        at = _parse(url)
        for _ in range(MAX_REDIRECTS + 1):
            try:
                found = self._get(at, max_bytes)
            except NotPublic as error:
                raise _refused(f"{_shown(at)} at {error.address}", NOT_PUBLIC) from None
            except (httpcore2.TimeoutException, httpcore2.NetworkError) as error:
                raise _unavailable(at, _why(error)) from error
            except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol) as error:
                raise _unavailable(at, "the answer is not valid") from error
            if isinstance(found, bytes):
                return found
            at = found
        raise _refused(redact(url), f"The photo's URL leads to more than {MAX_REDIRECTS} others")

    def _get(self, url: httpx2.URL, max_bytes: int) -> bytes | httpx2.URL:
        """The content at this URL, or where it is instead."""
        with self._connections.stream("GET", url, _HEADERS) as response:
            headers = {name.lower(): value for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in headers:
                return _redirected(url, headers[b"location"])
            _check_status(url, response.status)
            if headers.get(b"content-encoding", b"identity").lower() != b"identity":
                raise _refused(_shown(url), "The photo is sent compressed")
            length = headers.get(b"content-length", b"0")
            if length.isdigit() and int(length) > max_bytes:
                raise _too_large(url, max_bytes)
            content = bytearray()
            for block in response.iter_stream():
                content += block
                if len(content) > max_bytes:
                    raise _too_large(url, max_bytes)
            return bytes(content)

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def __reduce__(self) -> tuple[Callable[[], "PhotoUrls"], tuple[()]]:
        return partial(PhotoUrls, self._allowed_hosts, seconds=self._seconds, find=self._find), ()


def check_url(url: str) -> None:
    """Check what can be seen of a photo's URL without connecting. Raises InvalidInput."""
    _parse(url)


def _parse(url: str) -> httpx2.URL:
    if len(url) > MAX_URL:
        raise InvalidInput(f"A photo's URL has more than {MAX_URL:,} characters.")
    try:
        parsed = httpx2.URL(url.strip())
    except (httpx2.InvalidURL, ValueError, UnicodeError):
        raise _refused(redact(url), NOT_VALID) from None
    return _checked(parsed)


def _redirected(url: httpx2.URL, location: bytes) -> httpx2.URL:
    try:
        # Servers send UTF-8 here, though it should be percent-encoded.
        return _checked(url.join(location.decode("utf-8", "replace")))
    except (httpx2.InvalidURL, ValueError, UnicodeError):
        raise _refused(_shown(url), "The photo's URL leads to one that is not valid") from None


def _checked(url: httpx2.URL) -> httpx2.URL:
    if url.scheme not in {"http", "https"}:
        raise _refused(_shown(url), "The photo's URL is no http or https URL")
    if not (url.port is None or 0 < url.port <= MAX_PORT):
        raise _refused(_shown(url), NOT_VALID)
    if not url.host:
        raise _refused(_shown(url), "The photo's URL names no host")
    if url.userinfo:
        raise _refused(_shown(url), "The photo's URL has a user or a password")
    return url


def _check_status(url: httpx2.URL, status: int) -> None:
    if status == HTTPStatus.OK:
        return
    if status in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _unavailable(url, f"HTTP status {status}")
    raise _refused(_shown(url), f"There is no such photo: HTTP status {status}")


def _too_large(url: httpx2.URL, max_bytes: int) -> InvalidInput:
    return _refused(_shown(url), f"The photo has more than {max_bytes:,} bytes")


def _refused(shown: str, reason: str) -> InvalidInput:
    # In this form a report counts the reasons of many photos together.
    return InvalidInput(f"{reason} (file {shown}).")


def _unavailable(url: httpx2.URL, reason: str) -> Unavailable:
    return Unavailable(f"The photo can't be read now: {reason} (file {_shown(url)}).")


def _why(error: Exception) -> str:
    if isinstance(error, httpcore2.TimeoutException):
        return "it takes too long"
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(error).rstrip(".") or "the connection breaks"


def _shown(url: httpx2.URL) -> str:
    return redact(str(url))
