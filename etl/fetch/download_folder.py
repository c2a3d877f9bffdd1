"""The folder that a feed is downloaded into.

A file is written to a temporary name, `<name>.part`, and renamed when it is complete and verified.
The state of each file is recorded in a hidden file of JSON lines, by appending: a killed process
loses at most the last line, and then that file is copied again. Files are not flushed to the disk
one by one: after a power failure, a damaged file is detected by its length.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import md5, sha256
from pathlib import Path
from typing import BinaryIO, Self

from etl.fetch.checksum_files import SUMS_FILE, format_sums
from etl.fetch.feed_files import FeedFile
from models.domain.durable_files import PART_SUFFIX, write_if_changed
from models.domain.errors import Conflict

RECORD_FILE = ".fetch.jsonl"
BLOCK_BYTES = 2**20

# The record's entry for an archive that was extracted completely.
_UNPACKED = ".unpacked"


class PartialFile:
    """A partial file; both hashes are of its first `size` bytes.

    `continued` says whether an earlier attempt wrote some of them.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self.continued = False
        self.sha256 = sha256()
        self.md5 = md5(usedforsecurity=False)

    def read(self) -> None:
        """Read and hash what an earlier run wrote."""
        while block := self._file.read(BLOCK_BYTES):
            self._count(block)
        self.mark_continued()

    def write(self, block: bytes) -> None:
        """Append."""
        self._file.write(block)
        self._count(block)

    def mark_continued(self) -> None:
        """Note that later writes are of another attempt."""
        self.continued = self.size > 0

    def restart(self) -> None:
        """Discard the content."""
        self._file.truncate(0)
        self.size = 0
        self.continued = False
        self.sha256 = sha256()
        self.md5 = md5(usedforsecurity=False)

    def _count(self, block: bytes) -> None:
        self.size += len(block)
        self.sha256.update(block)
        self.md5.update(block)


@dataclass(frozen=True, slots=True)
class _Copy:
    """A line of the record: the file that was copied, and its SHA-256 if the copy is complete."""

    name: str
    size: int
    version: str
    sha256: str

    def is_of(self, file: FeedFile) -> bool:
        # Without a version, a change of content can't be detected.
        return bool(file.version) and (self.size, self.version) == (file.size, file.version)


class DownloadFolder:
    """The folder as a context manager, which locks it against other fetches.

    Raises Conflict if it is locked, and OSError. Opened read-only, it writes nothing and need not
    exist.
    """

    def __init__(self, folder: Path, *, read_only: bool) -> None:
        self._folder = folder
        self._read_only = read_only
        self._copies: dict[str, _Copy] = {}
        self._stack = ExitStack()
        self._record = -1

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            if not self._read_only:
                self._folder.mkdir(parents=True, exist_ok=True)
                _lock(self._folder, stack)
            self._copies = {copy.name: copy for copy in _read_record(self._folder)}
            if not self._read_only:
                self._record = _open_record(self._folder, stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def sha256(self, file: FeedFile) -> str:
        """The SHA-256 of the complete copy of this file; empty if there is none."""
        copy = self._copies.get(file.name)
        if copy is None or not copy.is_of(file) or not self._is_intact(copy):
            return ""
        return copy.sha256

    def path(self, file: FeedFile) -> Path:
        """The file's path in the folder."""
        return self._folder / file.name

    def resumable_bytes(self, file: FeedFile) -> int:
        """The size of the file's partial copy, if it can be resumed; else 0."""
        copy = self._copies.get(file.name)
        if copy is None or not copy.is_of(file):
            return 0
        with suppress(FileNotFoundError):
            size = self._part(file.name).stat().st_size
            return size if size <= file.size else 0
        return 0

    @contextmanager
    def part(self, file: FeedFile) -> Iterator[PartialFile]:
        """Open the partial file: that of the same version if there is one, else a new one."""
        path = self._part(file.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self.resumable_bytes(file):
            # In this order, so that it is never taken for one of another version.
            path.unlink(missing_ok=True)
            self._note(file, "")
        with path.open("a+b") as opened:
            opened.seek(0)
            part = PartialFile(opened)
            part.read()
            yield part

    def discard(self, file: FeedFile) -> None:
        """Remove the partial file."""
        self._part(file.name).unlink(missing_ok=True)

    def remove(self, file: FeedFile) -> None:
        """Remove the file and its partial copy."""
        self.discard(file)
        self.path(file).unlink(missing_ok=True)

    def commit(self, file: FeedFile, digest: str) -> None:
        """Rename the partial file to its final name; `digest` is its SHA-256."""
        # If the process is killed in between, the next run resumes with the complete partial file.
        self._note(file, digest)
        self._part(file.name).replace(self.path(file))

    def unpacked(self, archive: FeedFile) -> int:
        """How many files were extracted from this archive; 0 unless all are complete."""
        marker = self._copies.get(_UNPACKED)
        if marker is None or not marker.is_of(archive):
            return 0
        copies = [copy for copy in self._copies.values() if copy is not marker]
        return len(copies) if all(self._is_intact(copy) for copy in copies) else 0

    def finish(self, files: Iterable[FeedFile], archive: FeedFile | None = None) -> None:
        """Write SHA256SUMS for these files, all complete, and drop others from the record.

        `archive` is the one they were extracted from, if any.
        """
        copies = [self._copies[file.name] for file in files]
        sums = {copy.name: copy.sha256 for copy in copies}
        write_if_changed(self._folder / SUMS_FILE, format_sums(sums))
        if archive is not None:
            copies.append(_Copy(_UNPACKED, archive.size, archive.version, ""))
        write_if_changed(self._folder / RECORD_FILE, "".join(map(_line, copies)))

    def _part(self, name: str) -> Path:
        return self._folder / f"{name}{PART_SUFFIX}"

    def _is_intact(self, copy: _Copy) -> bool:
        with suppress(FileNotFoundError):
            size = (self._folder / copy.name).stat().st_size
            return bool(copy.sha256) and size == copy.size and not self._part(copy.name).exists()
        return False

    def _note(self, file: FeedFile, digest: str) -> None:
        copy = _Copy(file.name, file.size, file.version, digest)
        self._copies[file.name] = copy
        # A single append: lines of several threads do not mix, and survive a killed process.
        os.write(self._record, _line(copy).encode())


def _lock(folder: Path, stack: ExitStack) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    stack.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Conflict(f"Another fetch into {folder} is under way.") from error


def _read_record(folder: Path) -> Iterator[_Copy]:
    with suppress(FileNotFoundError), (folder / RECORD_FILE).open("rb") as record:
        for line in record:
            # A truncated line is ignored.
            with suppress(ValueError, TypeError):
                yield _Copy(**json.loads(line))


def _open_record(folder: Path, stack: ExitStack) -> int:
    flags = os.O_CREAT | os.O_RDWR | os.O_APPEND
    record = os.open(folder / RECORD_FILE, flags, 0o666)
    stack.callback(os.close, record)
    # Ends a truncated line, so that the next one is readable.
    os.write(record, b"\n")
    return record


def _line(copy: _Copy) -> str:
    return json.dumps(asdict(copy)) + "\n"
