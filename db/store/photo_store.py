"""The photo store: standardised photos under their SHA-256, in a folder or an object store.

Unreferenced photos are deleted while others write, as follows. A writer that is about to reference
a photo calls `put` or `has` first, which renew the file's modification time, and commits the row
well within `GRACE`. A photo that no row references and that is older than `GRACE` is therefore
unused. `delete_old` checks the age immediately before it deletes; in a folder it first renames the
file to a temporary name, which no writer renews, and checks again, so that there is no race. Object
stores have no such rename: there remains a race of a few milliseconds with a writer of a photo that
was not used for a day. None is deleted while the photos are copied (`db.store.holds`).

A folder that has gone, as when what was mounted there is not, is an outage: no photo of it is
missing, and no other folder is made in its place, whose photos would be hidden later.
"""

import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import fsspec
from fsspec.implementations.local import LocalFileSystem

from db.store.holds import is_held
from db.store.location import check, failures_of, filesystem_at, location_of
from db.store.stored_files import StoredFiles
from models.domain.clock import utc_now
from models.domain.durable_files import PART_SUFFIX, atomic_file, make_folder, sync_folder
from models.domain.errors import InvalidInput, NotFound, Unavailable

PREFIXES = tuple(f"{number:02x}" for number in range(256))
"""First bytes of SHA-256: a store is listed one prefix at a time."""

GRACE = timedelta(hours=24)
"""How long a photo may be in the store before a row has to reference it."""

# Renewing an object's time means writing it again, so it is done only for older ones.
_RENEW_AFTER = GRACE / 4

# A write takes seconds: an unfinished file older than this was left by a killed writer.
_LEFTOVER_AFTER = timedelta(hours=1)

WRITING: Final = "The photo store can't be written."
READING: Final = "The photo store can't be read."
GONE: Final = "The photo store has gone."

_SHA256 = re.compile(r"[0-9a-f]{64}")
_STORED = re.compile(r"/([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{60})\.jpg$")
_UNFINISHED = re.compile(rf"/\.[^/]+{re.escape(PART_SUFFIX)}$")


@dataclass(frozen=True, slots=True)
class PrefixListing:
    """The contents of one prefix: SHA-256 of photos, and paths of files left by killed writers."""

    digests: set[str]
    leftovers: list[str]


class PhotoStore:
    """Content-addressed photos in a folder or at an fsspec URL. Durable once `put` has returned.

    A `Path` is always a folder. Raises SetupError for a URL that photos can't be stored at. Every
    method raises Unavailable when the store can't be reached.
    """

    def __init__(self, place: str | Path) -> None:
        self._location = location_of(place)
        self._was_there = False

    @property
    def url(self) -> str:
        """Where the photos are: an fsspec URL, or a folder's absolute path."""
        return self._location

    def check(self) -> None:
        """Look whether photos can be there. Raises SetupError, Misconfigured and Unavailable."""
        check(self._location)

    def remember(self) -> None:
        """Note whether the store's folder is there, so that it is noticed when that has gone."""
        filesystem, root = filesystem_at(self._location)
        if isinstance(filesystem, LocalFileSystem) and Path(root).is_dir():
            self._was_there = True

    @property
    def files(self) -> StoredFiles:
        """Files that are no photos, at the same URL."""
        return StoredFiles(self._location)

    def put(self, data: bytes) -> str:
        """Store bytes durably and return their SHA-256; bytes that are stored are not rewritten."""
        digest = sha256(data).hexdigest()
        is_there = self.has(digest)
        filesystem, path = self._locate(digest)
        with _writing(filesystem):
            if isinstance(filesystem, LocalFileSystem):
                if is_there:
                    # Another writer may have renamed the file without having synced the folder yet.
                    sync_folder(Path(path).parent)
                else:
                    self._make_folder_of(Path(path))
                    with atomic_file(Path(path), concurrent=True) as file:
                        file.write(data)
            elif not is_there:
                # Object stores write objects atomically.
                filesystem.pipe_file(path, data)
        return digest

    def has(self, digest: str) -> bool:
        """Whether a photo is stored; if so, it is not deleted within `GRACE` from now."""
        filesystem, path = self._locate(digest)
        try:
            with failures_of(filesystem, WRITING):
                if isinstance(filesystem, LocalFileSystem):
                    os.utime(path)
                elif utc_now() - filesystem.modified(path) > _RENEW_AFTER:
                    filesystem.pipe_file(path, filesystem.cat_file(path))
        except FileNotFoundError:
            self._require_as_before()
            return False
        self._was_there = True
        return True

    def get(self, digest: str) -> bytes:
        """The bytes under a SHA-256. Raises NotFound."""
        filesystem, path = self._locate(digest)
        try:
            with failures_of(filesystem, READING):
                data: bytes = filesystem.cat_file(path)
        except FileNotFoundError as error:
            self._require_as_before()
            raise NotFound("There is no such photo.") from error
        self._was_there = True
        return data

    def get_stored(self, digest: str) -> bytes:
        """The bytes of a photo that was stored before, in whichever process.

        Raises NotFound where it is missing, and Unavailable where all photos are: then the store
        is away.
        """
        try:
            return self.get(digest)
        except NotFound:
            if not self._has_photos():
                raise _gone(self._location) from None
            raise

    def digests_with(self, prefix: str) -> set[str]:
        """The SHA-256 of the photos with one of the `PREFIXES`."""
        filesystem, root = filesystem_at(self._location)
        with failures_of(filesystem, READING):
            paths = _paths(filesystem, f"{root}/{prefix}")
            return {found[3] for path in paths if (found := _STORED.search(path))}

    def list_prefix(self, prefix: str, now: datetime) -> PrefixListing:
        """The contents of one of the `PREFIXES`; files that are not the store's are left out.

        About a 256th of the store's names is held in memory.
        """
        filesystem, root = filesystem_at(self._location)
        digests: set[str] = set()
        leftovers: list[str] = []
        with failures_of(filesystem, READING):
            for path in _paths(filesystem, f"{root}/{prefix}"):
                if found := _STORED.search(path):
                    digests.add(found[3])
                elif _UNFINISHED.search(path) and _is_leftover(filesystem, path, now):
                    leftovers.append(path)
        return PrefixListing(digests, leftovers)

    def is_old(self, digest: str, now: datetime, grace: timedelta = GRACE) -> bool:
        """Whether the photo is stored, and was not used by `put` or `has` within `grace`."""
        filesystem, path = self._locate(digest)
        try:
            with failures_of(filesystem, READING):
                return _is_old(filesystem, path, now, grace)
        except FileNotFoundError:
            return False

    def size_of(self, digest: str) -> int:
        """The bytes of a stored photo, 0 if it is not there."""
        filesystem, path = self._locate(digest)
        try:
            with failures_of(filesystem, READING):
                return int(filesystem.size(path) or 0)
        except FileNotFoundError:
            return 0

    def delete_old(self, digest: str, now: datetime, grace: timedelta = GRACE) -> bool:
        """Delete an unreferenced photo if it still `is_old`; returns whether it was deleted.

        None is deleted while the store `is_held`.
        """
        filesystem, path = self._locate(digest)
        if is_held(self.files, now):
            return False
        try:
            with failures_of(filesystem, WRITING):
                if not _is_old(filesystem, path, now, grace):
                    return False
                if isinstance(filesystem, LocalFileSystem):
                    return _delete_untouched(filesystem, Path(path), now, grace)
                filesystem.rm_file(path)
        except FileNotFoundError:
            return False
        return True

    def delete(self, digest: str) -> None:
        """Delete a photo, referenced or not; one that is not stored is no error."""
        filesystem, path = self._locate(digest)
        self._remove(filesystem, path)

    def delete_leftover(self, path: str) -> None:
        """Delete a leftover that `list_prefix` found; one that is gone is no error."""
        filesystem, _ = filesystem_at(self._location)
        self._remove(filesystem, path)

    def _remove(self, filesystem: fsspec.AbstractFileSystem, path: str) -> None:
        with suppress(FileNotFoundError), failures_of(filesystem, WRITING):
            filesystem.rm_file(path)

    def _has_photos(self) -> bool:
        filesystem, root = filesystem_at(self._location)
        try:
            with failures_of(filesystem, READING):
                if isinstance(filesystem, LocalFileSystem):
                    return any(Path(root, prefix).is_dir() for prefix in PREFIXES)
                filesystem.invalidate_cache()
                return bool(filesystem.ls(root, detail=False))
        except FileNotFoundError:
            return False

    def _require_as_before(self) -> None:
        """Raise Unavailable where the store's folder was there and is not."""
        filesystem, root = filesystem_at(self._location)
        if self._was_there and isinstance(filesystem, LocalFileSystem) and not Path(root).is_dir():
            raise _gone(root)

    def _make_folder_of(self, path: Path) -> None:
        """Make the folders of a photo; the store's own only if it never was there."""
        if not self._was_there:
            make_folder(path.parent)
            self._was_there = True
            return
        try:
            for folder in (path.parent.parent, path.parent):
                if not folder.is_dir():
                    folder.mkdir(exist_ok=True)
                    sync_folder(folder.parent)
        except FileNotFoundError:
            raise _gone(self._location) from None

    def _locate(self, digest: str) -> tuple[fsspec.AbstractFileSystem, str]:
        if not _SHA256.fullmatch(digest):
            raise InvalidInput("A photo is named by its SHA-256 in lower-case hexadecimal.")
        filesystem, root = filesystem_at(self._location)
        # Two levels of 256 folders keep folders small for tens of millions of photos.
        return filesystem, f"{root}/{digest[:2]}/{digest[2:4]}/{digest}.jpg"


def _gone(place: str) -> Unavailable:
    error = Unavailable(GONE)
    error.add_note(f"There are no photos at {place} any more: is it mounted?")
    return error


@contextmanager
def _writing(filesystem: fsspec.AbstractFileSystem) -> Generator[None]:
    """As `failures_of`; where a photo is to be written, a missing bucket is a failure."""
    try:
        with failures_of(filesystem, WRITING):
            yield
    except FileNotFoundError as error:
        raise Unavailable(WRITING) from error


def _paths(filesystem: fsspec.AbstractFileSystem, folder: str) -> Iterator[str]:
    """Every file under a folder; none where there is no such folder."""
    if isinstance(filesystem, LocalFileSystem):
        # fsspec's own listing calls stat for each file, which takes ten times as long.
        yield from _local_paths(folder)
        return
    found = filesystem.find(folder)
    # fsspec caches listings: memory would grow, and later changes by others would not be seen.
    filesystem.invalidate_cache()
    yield from found


def _local_paths(folder: str) -> Iterator[str]:
    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for where, _, names in os.walk(folder, onerror=fail):
        for name in names:
            yield f"{where}/{name}"


def _is_leftover(filesystem: fsspec.AbstractFileSystem, path: str, now: datetime) -> bool:
    """Whether an unfinished file is so old that its writer must have been killed."""
    try:
        modified: datetime = filesystem.modified(path)
    except FileNotFoundError:
        return False
    return now - modified > _LEFTOVER_AFTER


def _is_old(
    filesystem: fsspec.AbstractFileSystem, path: str, now: datetime, grace: timedelta
) -> bool:
    modified: datetime = filesystem.modified(path)
    return now - modified > grace


def _delete_untouched(
    filesystem: LocalFileSystem, path: Path, now: datetime, grace: timedelta
) -> bool:
    """Delete the file, unless a writer has renewed it since its age was checked."""
    temporary = path.with_name(f".{path.stem}{PART_SUFFIX}")
    path.rename(temporary)
    if _is_old(filesystem, str(temporary), now, grace):
        temporary.unlink()
        return True
    temporary.replace(path)
    sync_folder(path.parent)
    return False
