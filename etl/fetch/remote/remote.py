"""The interface of all sources: a listing, and the bytes of a file from an offset on."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from typing import ClassVar, NotRequired, TypedDict

import fsspec

from etl.fetch.feed_files import FeedFile, is_hidden, safe_name
from models.domain.errors import InvalidFeed, MarketlensError, SetupError, Unavailable
from models.domain.urls import redact

# The read buffer of a file.
BLOCK_BYTES = 4 * 2**20

MAX_DEPTH = 16

FileInfo = TypedDict(
    "FileInfo",
    {
        "name": str,
        "type": str,
        "size": int | None,
        "islink": NotRequired[bool],
        "mtime": NotRequired[float | datetime | None],
        "ETag": NotRequired[str],
        "Last-Modified": NotRequired[str],
    },
)
"""fsspec's description of a file or folder: the keys that are read here, of any protocol."""


class Remote(ABC):
    """A folder or an archive at a URL. It connects on first use.

    Its methods are thread-safe. They raise InvalidFeed for what does not exist, SetupError for
    missing permissions or credentials, and Unavailable for transient failures; no error shows a
    secret of the URL.
    """

    FAULTS: ClassVar[tuple[type[Exception], ...]] = (OSError,)

    def __init__(self, url: str, root: str) -> None:
        self.shown = redact(url)
        self.root = root
        self._filesystem: fsspec.AbstractFileSystem | None = None
        self._lock = Lock()

    def files(self) -> Iterator[FeedFile]:
        """Every file under the URL, in no order, except hidden ones."""
        folders = [(self.root, "", 0)]
        while folders:
            path, above, depth = folders.pop()
            for info, name in self._list(path):
                if is_hidden(name):
                    continue
                inside = safe_name(above + name, self.shown)
                match info["type"]:
                    case "file":
                        yield self._describe(info, inside)
                    case "directory" if depth < MAX_DEPTH:
                        folders.append((info["name"].rstrip("/"), f"{inside}/", depth + 1))
                    case "directory":
                        raise InvalidFeed(f"{self.shown} has folders too deep: {inside}.")
                    case _:
                        raise InvalidFeed(f"{self.shown} holds {inside}, which is no regular file.")

    def file(self, name: str) -> FeedFile:
        """The file at the URL, under this name."""
        with self._translated_errors("") as filesystem:
            info: FileInfo = filesystem.info(self.root)
        if info["type"] != "file":
            raise InvalidFeed(f"{self.shown} is no file.")
        return self._describe(info, name)

    def blocks(self, file: FeedFile, offset: int) -> Generator[bytes]:
        """The file's bytes from this offset on, a few megabytes at a time."""
        with (
            self._translated_errors(file.name) as filesystem,
            filesystem.open(file.path, "rb") as opened,
        ):
            opened.seek(offset)
            while offset < file.size:
                # SFTP requests a whole block, even beyond the end of the file. One byte more than
                # the listed size shows whether the file has grown.
                block = opened.read(min(BLOCK_BYTES, file.size - offset + 1))
                if not block:
                    break
                offset += len(block)
                yield block

    def is_unchanged(self, file: FeedFile) -> bool:
        """Whether the file's size and version are those that were listed."""
        with self._translated_errors(file.name) as filesystem:
            filesystem.invalidate_cache()
            now = self._describe(filesystem.info(file.path), file.name)
        return (now.size, now.version) == (file.size, file.version)

    def confirm_md5(self, file: FeedFile, md5: str) -> bool:
        """Whether this MD5 can be that of the file; true where the source states none."""
        return file.md5 in {"", md5}

    @abstractmethod
    def _connect(self) -> fsspec.AbstractFileSystem:
        """A new file system, not shared with other objects."""

    @abstractmethod
    def _version(self, info: FileInfo) -> str:
        """See `FeedFile.version`."""

    def _list(self, path: str) -> Iterator[tuple[FileInfo, str]]:
        """The entries of a folder: fsspec's description, and the name in the folder."""
        with self._translated_errors("") as filesystem:
            infos = filesystem.ls(path, detail=True)
        for info in infos:
            name = info["name"].rstrip("/")[len(path.rstrip("/")) + 1 :]
            # Object stores list a folder's own marker, others a file as its own content.
            if name:
                yield info, name

    def _describe(self, info: FileInfo, name: str) -> FeedFile:
        return FeedFile(name, info["name"], self._size(info, name), self._version(info))

    def _size(self, info: FileInfo, name: str) -> int:
        """The file's length in bytes. Raises InvalidFeed if the source does not state it."""
        if info["size"] is None:
            raise InvalidFeed(f"The server of {self.shown} does not say how long {name} is.")
        return int(info["size"])

    @contextmanager
    def _translated_errors(self, name: str) -> Iterator[fsspec.AbstractFileSystem]:
        """The file system, its errors translated; after a transient one it is connected anew."""
        filesystem = None
        try:
            filesystem = self._connected()
            yield filesystem
        except self.FAULTS as error:
            translated = self._translate(error, f"{name} of {self.shown}" if name else self.shown)
            if isinstance(translated, Unavailable):
                self._drop(filesystem)
            # Their texts may hold the whole URL.
            raise translated from None

    def _translate(self, error: Exception, what: str) -> MarketlensError:
        """The error to raise for one of the source's library."""
        match error:
            case FileNotFoundError() | NotADirectoryError():
                return InvalidFeed(f"There is no {what}.")
            case PermissionError():
                return SetupError(f"{what} may not be read with the credentials at hand.")
            case _:
                return Unavailable(f"{what} can't be read now ({type(error).__name__}).")

    def _connected(self) -> fsspec.AbstractFileSystem:
        with self._lock:
            if self._filesystem is None:
                self._filesystem = self._connect()
            return self._filesystem

    def _drop(self, filesystem: fsspec.AbstractFileSystem | None) -> None:
        with self._lock:
            # Another thread may have connected anew already.
            if self._filesystem is filesystem:
                self._filesystem = None
