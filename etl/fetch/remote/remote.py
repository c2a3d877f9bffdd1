"""What all sources have in common: a listing, and the bytes of a file from an offset on."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any, ClassVar

import fsspec

from etl.fetch.feed_files import FeedFile, is_hidden, safe_name
from models.domain.errors import InvalidFeed, MarketlensError, SetupError, Unavailable
from models.domain.urls import redact

# What is held in memory of a file that is being read.
BLOCK_BYTES = 4 * 2**20

MAX_DEPTH = 16


class Remote(ABC):
    """A folder or an archive at a URL. It connects when it is first asked for something.

    Its methods may be called from several threads. They raise InvalidFeed for what is not there,
    SetupError for what this machine may not read, and Unavailable for what may work later; no
    error shows a secret of the URL.
    """

    FAULTS: ClassVar[tuple[type[Exception], ...]] = (OSError,)

    def __init__(self, url: str, root: str) -> None:
        self.shown = redact(url)
        self.root = root
        self._filesystem: fsspec.AbstractFileSystem | None = None
        self._lock = Lock()

    def files(self) -> Iterator[FeedFile]:
        """Every file under the URL, in no order. Hidden folders are not looked into."""
        folders = [(self.root, "", 0)]
        while folders:
            path, above, depth = folders.pop()
            for info, name in self._list(path):
                inside = safe_name(above + name, self.shown)
                match info["type"]:
                    case "file":
                        yield self._describe(info, inside)
                    case "directory" if is_hidden(inside):
                        continue
                    case "directory" if depth < MAX_DEPTH:
                        folders.append((info["name"].rstrip("/"), f"{inside}/", depth + 1))
                    case "directory":
                        raise InvalidFeed(f"{self.shown} has folders too deep: {inside}.")
                    case _:
                        raise InvalidFeed(f"{self.shown} holds {inside}, which is no regular file.")

    def archive(self, name: str) -> FeedFile:
        """What is at the URL, as one file that is given this name."""
        with self._explained("") as filesystem:
            info = filesystem.info(self.root)
        if info["type"] != "file":
            raise InvalidFeed(f"{self.shown} is no file.")
        return self._describe(info, name)

    def blocks(self, file: FeedFile, offset: int) -> Iterator[bytes]:
        """The file's bytes from this offset on, a few megabytes at a time."""
        with self._explained(file.name) as filesystem, filesystem.open(file.path, "rb") as opened:
            opened.seek(offset)
            while offset < file.size:
                # SFTP asks for all of it at once, wherever the file ends. The byte too many is
                # there only if the file is not what was listed.
                block = opened.read(min(BLOCK_BYTES, file.size - offset + 1))
                if not block:
                    break
                offset += len(block)
                yield block

    def is_still(self, file: FeedFile) -> bool:
        """Whether the file is what it was when it was listed."""
        with self._explained(file.name) as filesystem:
            filesystem.invalidate_cache()
            now = self._describe(filesystem.info(file.path), file.name)
        return (now.size, now.version) == (file.size, file.version)

    def confirm_md5(self, file: FeedFile, md5: str) -> bool:
        """Whether content with this MD5 can be the file's; where none is known, it can."""
        return file.md5 in {"", md5}

    @abstractmethod
    def _connect(self) -> fsspec.AbstractFileSystem:
        """A new file system, of this object alone."""

    @abstractmethod
    def _version(self, info: Mapping[str, Any]) -> str:
        """See `FeedFile.version`."""

    def _list(self, path: str) -> Iterator[tuple[Mapping[str, Any], str]]:
        """What lies in a folder: fsspec's description, and the name in it."""
        with self._explained("") as filesystem:
            infos = filesystem.ls(path, detail=True)
        for info in infos:
            name = info["name"].rstrip("/")[len(path.rstrip("/")) + 1 :]
            # Object stores list a folder's own marker, others a file as its own content.
            if name:
                yield info, name

    def _describe(self, info: Mapping[str, Any], name: str) -> FeedFile:
        return FeedFile(name, info["name"], int(info["size"]), self._version(info))

    @contextmanager
    def _explained(self, name: str) -> Iterator[fsspec.AbstractFileSystem]:
        """The file system, whose errors become ours; after a fault it is connected anew."""
        filesystem = None
        try:
            filesystem = self._connected()
            yield filesystem
        except self.FAULTS as error:
            explained = self._explain(error, f"{name} of {self.shown}" if name else self.shown)
            if isinstance(explained, Unavailable):
                self._drop(filesystem)
            # Their texts may hold the whole URL.
            raise explained from None

    def _explain(self, error: Exception, what: str) -> MarketlensError:
        """What a person is told of a fault of the source."""
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
