"""An archive or a plain listing of a folder on a web server, through fsspec and aiohttp.

Credentials are those of `~/.netrc` (or `NETRC`), proxies those of the environment. The URL of an
archive may carry a signature in its query.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote, unquote

import aiohttp
import fsspec
from fsspec.implementations.http import HTTPFileSystem

from etl.fetch.feed_files import FeedFile, safe_name
from etl.fetch.remote.remote import BLOCK_BYTES, Remote
from etl.fetch.source_url import is_archive, split_url
from models.domain.errors import InvalidFeed, MarketlensError, SetupError, Unavailable
from models.domain.urls import redact

# All that may stand in a URL: whatever else was given is percent-encoded.
URL_CHARACTERS = "%/:?#[]@!$&'()*+,;=~"

AT_ONCE = 16
CONNECT_SECONDS = 20
READ_SECONDS = 60

GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
NO_ENTRY = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
)
PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class HttpRemote(Remote):
    """`http(s)://host/…`: an archive by its suffix, else a page that links to its files."""

    FAULTS: ClassVar[tuple[type[Exception], ...]] = (OSError, aiohttp.ClientError)

    def __init__(self, url: str) -> None:
        parts = split_url(url)
        if parts.username is not None:
            raise InvalidFeed(f"{redact(url)} was given with a user: put both into ~/.netrc.")
        if parts.query and not is_archive(url):
            raise InvalidFeed(f"{redact(url)} has a query: only an archive's URL may have one.")
        super().__init__(url, quote(url, safe=URL_CHARACTERS).rstrip("/"))

    def blocks(self, file: FeedFile, offset: int) -> Iterator[bytes]:
        """The file's bytes from this offset on; a server that knows no ranges sends all, and what
        lies before is passed over."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with (
            self._explained(file.name) as filesystem,
            # Without blocks it is one request, read as it comes; with the size, none before it.
            filesystem.open(file.path, block_size=0, size=file.size, headers=headers) as opened,
        ):
            to_skip = 0 if opened.r.status == HTTPStatus.PARTIAL_CONTENT else offset
            while block := opened.read(BLOCK_BYTES):
                if len(block) > to_skip:
                    yield block[to_skip:]
                to_skip = max(0, to_skip - len(block))

    def _connect(self) -> fsspec.AbstractFileSystem:
        # At DEBUG it writes whole URLs, signatures among them.
        logging.getLogger("fsspec.http").setLevel(logging.INFO)
        return HTTPFileSystem(
            simple_links=False,
            encoded=True,
            client_kwargs={
                "trust_env": True,
                "timeout": aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS
                ),
                # Lengths and offsets are those of the file, not of a compressed answer.
                "headers": {"Accept-Encoding": "identity"},
                "auto_decompress": False,
            },
            skip_instance_cache=True,
        )

    def _version(self, info: Mapping[str, Any]) -> str:
        return str(info.get("ETag") or info.get("Last-Modified") or "")

    def _describe(self, info: Mapping[str, Any], name: str) -> FeedFile:
        if info["size"] is None:
            raise InvalidFeed(f"The server of {self.shown} does not say how long {name} is.")
        return super()._describe(info, name)

    def _list(self, path: str) -> Iterator[tuple[Mapping[str, Any], str]]:
        with self._explained("") as filesystem:
            infos = filesystem.ls(f"{path}/", detail=True)
        links = {}
        for info in infos:
            url = unescape(info["name"])
            link = url.removeprefix(f"{path}/")
            # Other pages, the columns' sort orders, and what has a scheme of its own.
            if link == url or re.search(r"[?#]|^[^/]*:", link):
                continue
            if name := unquote(link).rstrip("/"):
                links[url] = safe_name(name, self.shown)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from zip(pool.map(self._info, links, links.values()), links.values(), strict=True)

    def _info(self, url: str, name: str) -> Mapping[str, Any]:
        if url.endswith("/"):
            return {"name": url, "type": "directory"}
        with self._explained(name) as filesystem:
            info: Mapping[str, Any] = filesystem.info(url)
        return info

    def _explain(self, error: Exception, what: str) -> MarketlensError:
        match error:
            # fsspec says of whatever went wrong with a description that there is no such file.
            case FileNotFoundError(__cause__=Exception() as cause):
                return self._explain(cause, what)
            case aiohttp.InvalidURL():
                return InvalidFeed(f"{self.shown} is not a valid URL.")
            case aiohttp.ClientResponseError(status=status):
                return self._explain_status(status, what)
            case _:
                return super()._explain(error, what)

    def _explain_status(self, status: int, what: str) -> MarketlensError:
        if status in GONE:
            return super()._explain(FileNotFoundError(), what)
        if status in NO_ENTRY:
            return SetupError(f"{what} needs credentials: put yours into ~/.netrc.")
        if status in PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unavailable(f"{what} can't be read now (HTTP status {status}).")
        return InvalidFeed(f"{what} can't be read: its server answers {status}.")
