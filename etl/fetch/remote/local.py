"""A folder or an archive on this machine."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import fsspec
from fsspec.implementations.local import LocalFileSystem

from etl.fetch.remote.remote import FileInfo, Remote
from models.domain.errors import InvalidFeed
from models.domain.urls import is_url, redact


class LocalRemote(Remote):
    """A path, or a `file://` URL."""

    def __init__(self, source: str) -> None:
        path = unquote(source.partition("://")[2]) if is_url(source) else source
        if is_url(source) and not path.startswith("/"):
            raise InvalidFeed(f"{redact(source)} names a host: a file's URL begins with file:///.")
        super().__init__(source, str(Path(path).resolve()))

    def _connect(self) -> fsspec.AbstractFileSystem:
        return LocalFileSystem()

    def _version(self, info: FileInfo) -> str:
        return str(info["mtime"])

    def _list(self, path: str) -> Iterator[tuple[FileInfo, str]]:
        for info, name in super()._list(path):
            if info["islink"]:
                with self._translated_errors(name) as filesystem:
                    yield filesystem.info(os.path.realpath(info["name"])), name
            else:
                yield info, name
