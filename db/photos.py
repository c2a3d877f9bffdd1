"""The photo store: standardised photos under their SHA-256, in a folder or an object store."""

import os
import re
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

import fsspec
from fsspec.implementations.local import LocalFileSystem

from models.errors import InvalidInput, NotFound, Unavailable

_SHA256 = re.compile(r"[0-9a-f]{64}")


class PhotoStore:
    """Content-addressed photos at an fsspec URL. What `put` returned from survives a power cut."""

    def __init__(self, url: str) -> None:
        self._url = url

    def put(self, data: bytes) -> str:
        """Store bytes, durably, and give their SHA-256. Storing the same bytes again is free."""
        digest = sha256(data).hexdigest()
        filesystem, path = self._locate(digest)
        try:
            if isinstance(filesystem, LocalFileSystem):
                if not filesystem.exists(path):
                    _write_durably(Path(path), data)
                # Also when it was there: whoever is writing it may not have come so far.
                _sync_folder(Path(path).parent)
            elif not filesystem.exists(path):
                # Object stores make a whole object visible at once, or none.
                filesystem.pipe_file(path, data)
        except OSError as error:
            raise Unavailable("The photo store can't be written.") from error
        return digest

    def get(self, digest: str) -> bytes:
        """The bytes under a SHA-256. Raises NotFound."""
        filesystem, path = self._locate(digest)
        try:
            data: bytes = filesystem.cat_file(path)
        except FileNotFoundError as error:
            raise NotFound("There is no such photo.") from error
        except OSError as error:
            raise Unavailable("The photo store can't be read.") from error
        return data

    def _locate(self, digest: str) -> tuple[fsspec.AbstractFileSystem, str]:
        if not _SHA256.fullmatch(digest):
            raise InvalidInput("A photo is named by its SHA-256 in lower-case hexadecimal.")
        filesystem, root = fsspec.url_to_fs(self._url)
        # Two levels of 256 folders keep each folder small for tens of millions of photos.
        return filesystem, f"{root}/{digest[:2]}/{digest[2:4]}/{digest}.jpg"


def _write_durably(path: Path, data: bytes) -> None:
    """Write aside, flush to the disk, rename: the name never stands for half a file."""
    _make_folder(path.parent)
    with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it; each new name is flushed where it stands."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
