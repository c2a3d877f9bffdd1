"""An archive, a table or a plain listing of a folder on a web server, through fsspec and aiohttp.

Credentials are those of `~/.netrc` (or `NETRC`), proxies those of the environment. The URL of an
archive or a table may carry a signature in its query.
"""

import logging
import re
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import quote, unquote

import aiohttp
import fsspec
from fsspec.implementations.http import HTTPFileSystem

from etl.fetch.feed_files import FeedFile, is_hidden, safe_name
from etl.fetch.remote.remote import BLOCK_BYTES, FileInfo, Remote
from etl.fetch.source_url import is_archive, is_table, split_url
from models.domain.errors import InvalidFeed, MarketlensError, SetupError, Unavailable
from models.domain.urls import redact

# The characters that are allowed in a URL: all others are percent-encoded.
URL_CHARACTERS = "%/:?#[]@!$&'()*+,;=~"

AT_ONCE = 16
CONNECT_SECONDS = 20
READ_SECONDS = 60

MISSING_STATUSES = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
AUTHENTICATION_STATUSES = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
)
TRANSIENT_STATUSES = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class HttpRemote(Remote):
    """`http(s)://host/…`: an archive or a table by its suffix, else a page of links."""

    FAULTS: ClassVar[tuple[type[Exception], ...]] = (OSError, aiohttp.ClientError)

    def __init__(self, url: str) -> None:
        parts = split_url(url)
        if parts.username is not None:
            raise InvalidFeed(f"{redact(url)} was given with a user: put both into ~/.netrc.")
        if parts.query and not (is_archive(url) or is_table(url)):
            raise InvalidFeed(
                f"{redact(url)} has a query: only the URL of an archive or a table may have one."
            )
        super().__init__(url, quote(url, safe=URL_CHARACTERS).rstrip("/"))

    def blocks(self, file: FeedFile, offset: int) -> Generator[bytes]:
        """The file's bytes from this offset on; of a server without ranges, the bytes before it are
        skipped."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with (
            self._translated_errors(file.name) as filesystem,
            # Without blocks, one streamed request; with the size, no request for it before.
            filesystem.open(file.path, block_size=0, size=file.size, headers=headers) as opened,
        ):
            to_skip = 0 if opened.r.status == HTTPStatus.PARTIAL_CONTENT else offset
            while block := opened.read(BLOCK_BYTES):
                if len(block) > to_skip:
                    yield block[to_skip:]
                to_skip = max(0, to_skip - len(block))

    def _connect(self) -> fsspec.AbstractFileSystem:
        # At DEBUG it logs whole URLs, including signatures.
        logging.getLogger("fsspec.http").setLevel(logging.INFO)
        return HTTPFileSystem(
            simple_links=False,
            encoded=True,
            client_kwargs={
                "trust_env": True,
                "timeout": aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS
                ),
                # Lengths and offsets must be those of the file, not of a compressed response.
                "headers": {"Accept-Encoding": "identity"},
                "auto_decompress": False,
            },
            skip_instance_cache=True,
        )

    def _version(self, info: FileInfo) -> str:
        return str(info.get("ETag") or info.get("Last-Modified") or "")

    def _list(self, path: str) -> Iterator[tuple[FileInfo, str]]:
        with self._translated_errors("") as filesystem:
            infos = filesystem.ls(f"{path}/", detail=True)
        links = {}
        for info in infos:
            url = unescape(info["name"])
            link = url.removeprefix(f"{path}/")
            # Links to other pages, column sorting, and absolute URLs.
            if link == url or re.search(r"[?#]|^[^/]*:", link):
                continue
            if (name := unquote(link).rstrip("/")) and not is_hidden(name):
                links[url] = safe_name(name, self.shown)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from zip(pool.map(self._info, links, links.values()), links.values(), strict=True)

    def _info(self, url: str, name: str) -> FileInfo:
        if url.endswith("/"):
            return {"name": url, "type": "directory", "size": None}
        with self._translated_errors(name) as filesystem:
            info: FileInfo = filesystem.info(url)
        return info

    def _translate(self, error: Exception, what: str) -> MarketlensError:
        match error:
            # fsspec raises FileNotFoundError for every error of `info`.
            case FileNotFoundError(__cause__=Exception() as cause):
                return self._translate(cause, what)
            case aiohttp.InvalidURL():
                return InvalidFeed(f"{self.shown} is not a valid URL.")
            case aiohttp.ClientResponseError(status=status):
                return self._translate_status(status, what)
            case _:
                return super()._translate(error, what)

    def _translate_status(self, status: int, what: str) -> MarketlensError:
        if status in MISSING_STATUSES:
            return super()._translate(FileNotFoundError(), what)
        if status in AUTHENTICATION_STATUSES:
            return SetupError(f"{what} needs credentials: put yours into ~/.netrc.")
        if status in TRANSIENT_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unavailable(f"{what} can't be read now (HTTP status {status}).")
        return InvalidFeed(f"{what} can't be read: its server answers {status}.")
