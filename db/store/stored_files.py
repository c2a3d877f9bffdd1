"""Files in the photo store that are no photos, such as published index generations."""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from db.store.location import failures_of, filesystem_at
from models.domain.durable_files import atomic_file, make_folder
from models.domain.errors import NotFound, Unavailable

# Object stores take files in parts of at least 5 MiB and at most 10,000 of them: up to 160 GB.
PART_BYTES = 16 * 2**20


class StoredFiles:
    """Files at a `location_of`, of any size: a few parts of a file are in memory at a time.

    A `name` is a path below the URL, its parts separated by slashes. Every method raises
    Unavailable when the store can't be reached.
    """

    def __init__(self, location: str) -> None:
        self._location = location

    @property
    def is_elsewhere(self) -> bool:
        """Whether the files are not in a local folder, so that other machines can read them."""
        filesystem, _ = filesystem_at(self._location)
        return not isinstance(filesystem, LocalFileSystem)

    def upload(self, path: Path, name: str, on_part: Callable[[], None] = lambda: None) -> None:
        """Store a file, replacing an earlier one; `on_part` is called after each part.

        In a folder it is readable by its owner only, and durable.
        """
        filesystem, target = self._locate(name)
        failing = partial(failures_of, filesystem, f"{name} can't be put into the photo store.")
        try:
            with ExitStack() as stack:
                with failing():
                    source = stack.enter_context(path.open("rb"))
                    stored = stack.enter_context(_new(filesystem, target))
                for part in _parts(source):
                    with failing():
                        stored.write(part)
                    # What it raises is no failure of the store.
                    on_part()
                with failing():
                    stack.close()
        except FileNotFoundError as error:
            raise Unavailable(f"{name} can't be put into the photo store.") from error

    def download(self, name: str, into: BinaryIO) -> None:
        """Write a stored file's bytes. Raises NotFound."""
        into.writelines(self.parts(name))

    def parts(self, name: str) -> Iterator[bytes]:
        """A stored file's bytes, a few megabytes at a time. Raises NotFound."""
        filesystem, source = self._locate(name)
        failing = partial(failures_of, filesystem, f"{name} can't be fetched from the photo store.")
        try:
            with ExitStack() as stack:
                with failing():
                    stored = stack.enter_context(_open(filesystem, source, "rb"))
                while True:
                    with failing():
                        part = stored.read(PART_BYTES)
                    if not part:
                        return
                    # What the caller raises is no failure of the store.
                    yield part
        except FileNotFoundError as error:
            raise NotFound(f"{name} is not in the photo store.") from error

    def size(self, name: str) -> int | None:
        """The bytes of a stored file; None if it is not there."""
        filesystem, path = self._locate(name)
        filesystem.invalidate_cache()
        try:
            with failures_of(filesystem, "The photo store can't be read."):
                size: int = filesystem.size(path)
        except FileNotFoundError:
            return None
        return size

    def modified(self, name: str) -> datetime | None:
        """When a file was stored; None if it is not there."""
        filesystem, path = self._locate(name)
        filesystem.invalidate_cache()
        try:
            with failures_of(filesystem, "The photo store can't be read."):
                at: datetime = filesystem.modified(path)
        except FileNotFoundError:
            return None
        return at

    def write(self, name: str, data: bytes) -> None:
        """Store a small file in one write, replacing an earlier one."""
        filesystem, path = self._locate(name)
        try:
            with failures_of(filesystem, f"{name} can't be put into the photo store."):
                if isinstance(filesystem, LocalFileSystem):
                    with _new(filesystem, path) as file:
                        file.write(data)
                else:
                    filesystem.pipe_file(path, data)
        except FileNotFoundError as error:
            raise Unavailable(f"{name} can't be put into the photo store.") from error

    def read(self, name: str) -> bytes:
        """The bytes of a small stored file. Raises NotFound."""
        filesystem, path = self._locate(name)
        try:
            with failures_of(filesystem, f"{name} can't be fetched from the photo store."):
                data: bytes = filesystem.cat_file(path)
        except FileNotFoundError as error:
            raise NotFound(f"{name} is not in the photo store.") from error
        return data

    def names_in(self, name: str) -> set[str]:
        """The names directly below a folder; none where there is no such folder."""
        filesystem, folder = self._locate(name)
        # fsspec caches listings: changes by others would not be seen.
        filesystem.invalidate_cache()
        try:
            with failures_of(filesystem, "The photo store can't be read."):
                paths = filesystem.ls(folder, detail=False)
        except FileNotFoundError:
            return set()
        return {PurePosixPath(path).name for path in paths}

    def delete(self, name: str) -> None:
        """Delete a file, or a folder with its contents; one that does not exist is no error."""
        filesystem, path = self._locate(name)
        filesystem.invalidate_cache()
        with (
            suppress(FileNotFoundError),
            failures_of(filesystem, f"{name} can't be deleted from the photo store."),
        ):
            filesystem.rm(path, recursive=True)

    def _locate(self, name: str) -> tuple[fsspec.AbstractFileSystem, str]:
        filesystem, root = filesystem_at(self._location)
        return filesystem, f"{root}/{name}"


@contextmanager
def _new(filesystem: fsspec.AbstractFileSystem, path: str) -> Generator[BinaryIO]:
    """A file that is whole or not there: object stores are so by themselves."""
    if isinstance(filesystem, LocalFileSystem):
        make_folder(Path(path).parent)
        with atomic_file(Path(path), concurrent=True) as file:
            yield file
    else:
        with _open(filesystem, path, "wb") as stored:
            yield stored


def _open(filesystem: fsspec.AbstractFileSystem, path: str, mode: str) -> BinaryIO:
    # No read-ahead cache: files are read once and sequentially.
    stored: BinaryIO = filesystem.open(path, mode, block_size=PART_BYTES, cache_type="none")
    return stored


def _parts(source: BinaryIO) -> Iterator[bytes]:
    while part := source.read(PART_BYTES):
        yield part
