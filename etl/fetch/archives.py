"""Read a feed from an untrusted zip or tar archive.

An archive is checked completely before any of it is used: it may hold regular files and folders
only, and their number and total size are limited. Names are checked in `etl.fetch.feed_files`.
"""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from etl.fetch.feed_files import MAX_FILES, FeedFile
from etl.fetch.magic import BZIP2_MAGIC, GZIP_MAGIC, MAGIC_BYTES, XZ_MAGIC, ZIP_MAGIC
from models.domain.errors import InvalidFeed

BLOCK_BYTES = 2**20

# A tar's headers are read at once; valid ones are far smaller than this.
MAX_HEADER_BYTES = 16 * 2**20

# xz's strongest preset takes 65 MB to read; a file may ask for 4 GB.
MAX_XZ_MEMORY = 256 * 2**20

# Stands for the size of what is no regular file.
_IRREGULAR = -1

_END_OF_TAR = bytes(tarfile.BLOCKSIZE)

# What the standard library's readers raise at bytes that are no archive.
_FAULTS = (
    EOFError,
    lzma.LZMAError,
    OSError,
    RuntimeError,  # an unknown compression, headers nested without end
    ValueError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the extracted files: their number, total bytes, and the expansion ratio.

    Text compresses twentyfold, photos hardly, a decompression bomb a thousandfold; `slack` bytes
    are always allowed.
    """

    files: int = MAX_FILES
    bytes: int = 2**41
    expansion: int = 200
    slack: int = 64 * 2**20

    def budget(self, archive_bytes: int) -> int:
        """The maximum extracted bytes of an archive of this size."""
        return min(self.bytes, self.slack + self.expansion * archive_bytes)


def members(path: Path, source: str, version: str, limits: Limits) -> list[FeedFile]:
    """The regular files of the zip or tar archive at this path, named as the archive does.

    `source` is what errors call it, `version` that of the archive: its members have the same.
    Links and devices are listed as what they are, not regular. Raises InvalidFeed for what is no
    archive or damaged, holds something encrypted, or exceeds the limits.
    """
    budget = limits.budget(path.stat().st_size)
    found: list[FeedFile] = []
    total = 0
    with _readable(source):
        list_members = _zip_members if _is_zip(path) else _tar_members
        for name, inner, size in list_members(path, source, budget):
            total += max(size, 0)
            if total > budget:
                raise _bomb(source, budget)
            if len(found) == limits.files:
                raise InvalidFeed(f"{source} holds more than {limits.files:,} files.")
            found.append(
                FeedFile(name, inner, max(size, 0), version, is_regular=size != _IRREGULAR)
            )
    return found


def contents(
    path: Path, source: str, wanted: Collection[FeedFile]
) -> Iterator[tuple[FeedFile, Iterator[bytes]]]:
    """The wanted members one by one, in the archive's own order, each with its bytes.

    The bytes of one can be read until the next is asked for. Raises InvalidFeed, also while bytes
    are read.
    """
    by_path = {file.path: file for file in wanted}
    with _readable(source):
        open_members = _open_zip_members if _is_zip(path) else _open_tar_members
        for inner, opened in open_members(path, by_path.keys()):
            yield by_path[inner], _blocks(opened, source)


def _blocks(opened: IO[bytes], source: str) -> Iterator[bytes]:
    with _readable(source):
        while block := opened.read(BLOCK_BYTES):
            yield block


@contextmanager
def _readable(source: str) -> Iterator[None]:
    try:
        yield
    except _FAULTS as error:
        raise InvalidFeed(f"{source} is damaged, or no zip or tar archive.") from error


def _bomb(source: str, budget: int) -> InvalidFeed:
    return InvalidFeed(f"{source} would unpack to more than {budget:,} bytes: it is refused.")


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC


def _zip_members(path: Path, source: str, _: int) -> Iterator[tuple[str, str, int]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            # Programs that write the separator of Windows end folders with it.
            if info.filename.endswith(("/", "\\")):
                continue
            # The upper half of it is a Unix mode, or nothing.
            if stat.S_IFMT(info.external_attr >> 16) not in {0, stat.S_IFREG}:
                yield info.orig_filename, info.filename, _IRREGULAR
                continue
            if info.flag_bits & 1:
                raise InvalidFeed(f"{source} is encrypted.")
            # The other name is cut at a NUL.
            yield info.orig_filename, info.filename, info.file_size


def _open_zip_members(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        for name in wanted:
            with archive.open(name) as opened:
                yield name, opened


class _TarStream(io.BufferedReader):
    """The stream of a tar, which bounds the length of headers."""

    last = b""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header is too long")
        self.last = super().read(size)
        return self.last


def _decompressed(raw: io.FileIO, start: bytes) -> io.RawIOBase:
    """The file, or its content if it begins like a compressed one."""
    opened: object = raw
    if start.startswith(GZIP_MAGIC):
        opened = gzip.GzipFile(fileobj=raw)
    elif start.startswith(BZIP2_MAGIC):
        opened = bz2.BZ2File(raw)
    elif start.startswith(XZ_MAGIC):
        opened = lzma.LZMAFile(raw)  # noqa: SIM115 - closed with its stream
    return cast("io.RawIOBase", opened)


def _check_xz(path: Path, source: str, budget: int) -> None:
    """Read an xz file to its end within a limit of memory, which `lzma.LZMAFile` does not have."""
    total = 0
    with path.open("rb") as file:
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY)
        block = file.read(BLOCK_BYTES)
        while block or not (decompressor.eof or decompressor.needs_input):
            if decompressor.eof:
                # Streams may follow each other.
                decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY)
            total += len(decompressor.decompress(block, BLOCK_BYTES))
            if total > budget:
                raise _bomb(source, budget)
            if decompressor.eof:
                block = decompressor.unused_data or file.read(BLOCK_BYTES)
            else:
                block = file.read(BLOCK_BYTES) if decompressor.needs_input else b""


@contextmanager
def _open_tar(path: Path) -> Iterator[tuple[tarfile.TarFile, _TarStream]]:
    with path.open("rb", buffering=0) as raw:
        start = raw.read(MAGIC_BYTES)
        raw.seek(0)
        with (
            _TarStream(_decompressed(raw, start)) as stream,
            tarfile.open(fileobj=stream, mode="r:") as tar,
        ):
            yield tar, stream


def _each(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (member := tar.next()) is not None:
        # TarFile keeps all members in this list, which the stubs lack: too many for a large feed.
        tar.members.clear()  # type: ignore[attr-defined]
        yield member


def _tar_members(path: Path, source: str, budget: int) -> Iterator[tuple[str, str, int]]:
    with path.open("rb") as file:
        is_xz = file.read(len(XZ_MAGIC)) == XZ_MAGIC
    if is_xz:
        _check_xz(path, source, budget)
    with _open_tar(path) as (tar, stream):
        for member in _each(tar):
            if member.isdir():
                continue
            # A negative size would move the reader backwards.
            if member.size < 0:
                raise InvalidFeed(f"{source} holds {member.name!a:.200}, which is no regular file.")
            yield member.name, member.name, member.size if member.isreg() else _IRREGULAR
        if stream.last != _END_OF_TAR:
            raise InvalidFeed(f"{source} is cut short: it has no end.")
        # The checksum of a compressed stream is verified at its end only.
        while stream.read(BLOCK_BYTES):
            if stream.tell() > budget:
                raise _bomb(source, budget)


def _open_tar_members(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    with _open_tar(path) as (tar, _):
        for member in _each(tar):
            if member.name in wanted and (opened := tar.extractfile(member)) is not None:
                with opened:
                    yield member.name, opened
