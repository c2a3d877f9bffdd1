"""The bytes of one body: in memory while they are few, else in a file that has no name."""

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Final

from anyio import CapacityLimiter, to_thread

from models.domain.errors import Overloaded, Unavailable
from models.domain.processes import trim_heaps

IN_MEMORY_BYTES: Final = 1 << 20
"""Of one body: a larger one goes to a file."""
ALL_IN_MEMORY_BYTES: Final = 32 << 20
"""Of all bodies of this process; what comes when they are so many goes to files."""
MAX_FILE_BYTES: Final = 2_000_000_000
"""Of all files together."""
BLOCK: Final = 1 << 16
"""Bytes that are written to a file at once, while there is memory for them."""
WRITERS: Final = 4
"""Threads that write to files."""
RETRY_AFTER_S: Final = 10
TRIM_EVERY_S: Final = 10.0


@dataclass
class UploadSpace:
    """What bodies under way take. Used in one event loop, but for `Spool.read`.

    `folder` is where files are made; the system's folder for temporary files if it is None or can't
    be written. `max_file_bytes` is what all files may have together.
    """

    folder: Path | None = None
    max_file_bytes: int = MAX_FILE_BYTES
    in_memory: int = 0
    in_files: int = 0
    has_been_used: bool = False
    """Whether anything was in a file since the heaps were trimmed."""
    writers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(WRITERS))

    def take_memory(self, number: int) -> bool:
        """Count so many bytes more in memory, if there is room."""
        if self.in_memory + number > ALL_IN_MEMORY_BYTES:
            return False
        self.in_memory += number
        return True

    def take_file(self, number: int) -> None:
        """Count so many bytes more in files. Raises Overloaded if there is no room."""
        if self.in_files + number > self.max_file_bytes:
            raise Overloaded(
                "Too much is being uploaded: there is no room for more until some is stored.",
                retry_after_s=RETRY_AFTER_S,
            )
        self.in_files += number
        self.has_been_used = True

    @asynccontextmanager
    async def trimming(self) -> AsyncGenerator[None]:
        """Give memory back to the system in the background, some time after large bodies."""
        task = asyncio.create_task(self._trim())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(TRIM_EVERY_S)
            if self.has_been_used:
                self.has_been_used = self.in_files > 0
                await to_thread.run_sync(trim_heaps, limiter=self.writers)

    def open_file(self) -> BinaryIO:
        """A file that is gone when it is closed, also by a crash. Raises Unavailable."""
        try:
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return tempfile.TemporaryFile(buffering=0, dir=self.folder)
        except OSError:
            return _in_temporary_folder()


def _in_temporary_folder() -> BinaryIO:
    try:
        return tempfile.TemporaryFile(buffering=0)
    except OSError as error:
        raise _unwritable(error) from error


class Spool:
    """Bytes that are appended, and read when all are there: from any thread, until it is closed."""

    def __init__(self, space: UploadSpace) -> None:
        self._space = space
        self._pending = bytearray()
        self._in_memory = 0
        self._file: BinaryIO | None = None
        self._in_file = 0
        self._reading = Lock()
        self._is_closed = False

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self._in_file + len(self._pending)

    async def write(self, data: bytes) -> None:
        """Append bytes. Raises Overloaded if there is no room, and Unavailable for a full disk."""
        most = IN_MEMORY_BYTES if self._file is None else BLOCK
        fits = len(self._pending) + len(data) <= most and self._space.take_memory(len(data))
        self._pending += data
        if fits:
            self._in_memory += len(data)
        else:
            await self._flush()

    async def finish(self) -> None:
        """Make what was appended readable."""
        if self._file is not None and self._pending:
            await self._flush()

    def read(self, start: int, size: int) -> bytes:
        """Some of the bytes. Raises Unavailable where the file can't be read."""
        with self._reading:
            if self._is_closed:
                raise Unavailable("The request has ended.")
            if self._file is None:
                return bytes(memoryview(self._pending)[start : start + size])
            try:
                return os.pread(self._file.fileno(), size, start)
            except OSError as error:
                raise _unwritable(error) from error

    def close(self) -> None:
        """Give memory and disk back."""
        with self._reading:
            self._is_closed = True
            self._pending = bytearray()
            if self._file is not None:
                self._file.close()
        self._space.in_memory -= self._in_memory
        self._space.in_files -= self._in_file
        self._in_memory = self._in_file = 0

    async def _flush(self) -> None:
        self._space.take_file(len(self._pending))
        data, self._pending = self._pending, bytearray()
        self._in_file += len(data)
        await to_thread.run_sync(self._append, data, limiter=self._space.writers)
        self._space.in_memory -= self._in_memory
        self._in_memory = 0

    def _append(self, data: bytearray) -> None:
        with self._reading:
            if self._is_closed:
                return
            if self._file is None:
                self._file = self._space.open_file()
            try:
                view = memoryview(data)
                while view:
                    view = view[self._file.write(view) :]
            except OSError as error:
                raise _unwritable(error) from error


def _unwritable(error: OSError) -> Unavailable:
    return Unavailable(f"Uploads can't be kept: {error.strerror}.")


@dataclass(frozen=True, slots=True)
class Upload:
    """A part of a body, such as a photo: it is in memory only while it is read."""

    spool: Spool
    start: int
    size: int

    def read(self, most: int | None = None) -> bytes:
        """Its bytes, or at most so many of them. Raises Unavailable."""
        size = self.size if most is None else min(self.size, most)
        return self.spool.read(self.start, size)
