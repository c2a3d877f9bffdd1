"""The photo store: standardised photos under their SHA-256, in a folder or an object store.

How a photo that nothing names may be deleted while others write: whoever is about to name a photo
calls `put` or `has` first, which make its file look new, and commits the row that names it well
within `GRACE`. A photo that no row names and that looks old is therefore nobody's. `delete_old`
looks at its age last; in a folder it looks once more after it has moved the file aside, where no
writer finds it to make it look new, so that none can come between. Object stores offer no such
step: there a writer would have to want a photo that nobody wanted for a day within the same few
milliseconds.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from db.store.stored_files import StoredFiles
from models.domain.clock import utc_now
from models.domain.durable_files import PART_SUFFIX, atomic_file, make_folder, sync_folder
from models.domain.errors import InvalidInput, NotFound, SetupError, Unavailable

PREFIXES = tuple(f"{number:02x}" for number in range(256))
"""What SHA-256 begin with: the parts into which a store divides for looking through it."""

GRACE = timedelta(hours=24)
"""How long a photo may be in the store before a row has to name it."""

# Making an object look new means writing it again, which is not worth it for one that is new.
_NEW_ENOUGH = GRACE / 4

# A writer needs seconds. What is unfinished after this was left by one that was killed.
_LEFT_AFTER = timedelta(hours=1)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_STORED = re.compile(r"/([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{60})\.jpg$")
_UNFINISHED = re.compile(rf"/\.[^/]+{re.escape(PART_SUFFIX)}$")


@dataclass(frozen=True, slots=True)
class PrefixListing:
    """What a store holds under one prefix: SHA-256 of photos, paths that killed writers left."""

    digests: set[str]
    leftovers: list[str]


class PhotoStore:
    """Content-addressed photos at an fsspec URL. What `put` returned from survives a power cut.

    Raises SetupError for a URL that photos can't be stored at. Every method raises Unavailable when
    the store can't be reached.
    """

    def __init__(self, url: str) -> None:
        if url.startswith(("sftp://", "ssh://")):
            # Opened by a bare URL, these take any host key.
            raise SetupError("Photos can't be stored over SFTP: use a folder or an object store.")
        self._url = url

    @property
    def files(self) -> StoredFiles:
        """What is kept beside the photos, out of their way."""
        return StoredFiles(self._url)

    def put(self, data: bytes) -> str:
        """Store bytes, durably, and give their SHA-256; bytes that are there are not rewritten."""
        digest = sha256(data).hexdigest()
        is_there = self.has(digest)
        filesystem, path = self._locate(digest)
        try:
            if isinstance(filesystem, LocalFileSystem):
                if is_there:
                    # Another writer may have renamed it, and not have flushed its name yet.
                    sync_folder(Path(path).parent)
                else:
                    make_folder(Path(path).parent)
                    with atomic_file(Path(path), concurrent=True) as file:
                        file.write(data)
            elif not is_there:
                # Object stores make a whole object visible at once, or none.
                filesystem.pipe_file(path, data)
        except OSError as error:
            raise Unavailable("The photo store can't be written.") from error
        return digest

    def has(self, digest: str) -> bool:
        """Whether a photo is stored; if so it is kept for at least `GRACE` from now."""
        filesystem, path = self._locate(digest)
        try:
            if isinstance(filesystem, LocalFileSystem):
                os.utime(path)
            elif utc_now() - filesystem.modified(path) > _NEW_ENOUGH:
                filesystem.pipe_file(path, filesystem.cat_file(path))
        except FileNotFoundError:
            return False
        except OSError as error:
            raise Unavailable("The photo store can't be written.") from error
        return True

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

    def list_prefix(self, prefix: str, now: datetime) -> PrefixListing:
        """What is there under one of the `PREFIXES`; files that are not the store's are left out.

        A 256th of the store is held in memory.
        """
        filesystem, root = fsspec.url_to_fs(self._url)
        digests: set[str] = set()
        leftovers: list[str] = []
        try:
            for path in _paths(filesystem, f"{root}/{prefix}"):
                if found := _STORED.search(path):
                    digests.add(found[3])
                elif _UNFINISHED.search(path) and _left(filesystem, path, now):
                    leftovers.append(path)
        except OSError as error:
            raise Unavailable("The photo store can't be read.") from error
        return PrefixListing(digests, leftovers)

    def is_old(self, digest: str, now: datetime) -> bool:
        """Whether the photo is there, and nobody has put or asked for it within `GRACE`."""
        filesystem, path = self._locate(digest)
        try:
            return _is_old(filesystem, path, now)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise Unavailable("The photo store can't be read.") from error

    def delete_old(self, digest: str, now: datetime) -> bool:
        """Delete a photo that nothing names, if it still `is_old`; gives whether it was."""
        filesystem, path = self._locate(digest)
        try:
            if not _is_old(filesystem, path, now):
                return False
            if isinstance(filesystem, LocalFileSystem):
                return _delete_untouched(filesystem, Path(path), now)
            filesystem.rm_file(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise Unavailable("The photo store can't be written.") from error
        return True

    def delete(self, digest: str) -> None:
        """Delete a photo, whoever names it; one that is not there is fine."""
        filesystem, path = self._locate(digest)
        self._remove(filesystem, path)

    def delete_leftover(self, path: str) -> None:
        """Delete a leftover that `list_prefix` found; one that is not there is fine."""
        filesystem, _ = fsspec.url_to_fs(self._url)
        self._remove(filesystem, path)

    def _remove(self, filesystem: fsspec.AbstractFileSystem, path: str) -> None:
        try:
            filesystem.rm_file(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unavailable("The photo store can't be written.") from error

    def _locate(self, digest: str) -> tuple[fsspec.AbstractFileSystem, str]:
        if not _SHA256.fullmatch(digest):
            raise InvalidInput("A photo is named by its SHA-256 in lower-case hexadecimal.")
        filesystem, root = fsspec.url_to_fs(self._url)
        # Two levels of 256 folders keep each folder small for tens of millions of photos.
        return filesystem, f"{root}/{digest[:2]}/{digest[2:4]}/{digest}.jpg"


def _paths(filesystem: fsspec.AbstractFileSystem, folder: str) -> Iterator[str]:
    """Every file under a folder; none where there is no such folder."""
    if isinstance(filesystem, LocalFileSystem):
        # fsspec's own listing asks the disk about each file, which takes ten times as long.
        yield from _local_paths(folder)
        return
    found = filesystem.find(folder)
    # Listings are remembered: memory would grow, and what others write or delete stay unseen.
    filesystem.invalidate_cache()
    yield from found


def _local_paths(folder: str) -> Iterator[str]:
    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for where, _, names in os.walk(folder, onerror=fail):
        for name in names:
            yield f"{where}/{name}"


def _left(filesystem: fsspec.AbstractFileSystem, path: str, now: datetime) -> bool:
    """Whether an unfinished file's writer must have been killed."""
    try:
        modified: datetime = filesystem.modified(path)
    except FileNotFoundError:
        return False
    return now - modified > _LEFT_AFTER


def _is_old(filesystem: fsspec.AbstractFileSystem, path: str, now: datetime) -> bool:
    modified: datetime = filesystem.modified(path)
    return now - modified > GRACE


def _delete_untouched(filesystem: LocalFileSystem, path: Path, now: datetime) -> bool:
    """Delete the file, unless a writer has made it look new since it was last looked at."""
    aside = path.with_name(f".{path.stem}{PART_SUFFIX}")
    path.rename(aside)
    if _is_old(filesystem, str(aside), now):
        aside.unlink()
        return True
    aside.replace(path)
    sync_folder(path.parent)
    return False
