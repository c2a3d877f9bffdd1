"""Where snapshots are kept: a folder, or an object store. See `manifest` for what is in it."""

import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from db.store.location import check, location_of
from db.store.photo_store import PhotoStore
from db.store.stored_files import StoredFiles
from models.domain.durable_files import make_folder, sha256_of, sync_folder
from models.domain.errors import InvalidInput, NotFound, Unavailable
from models.domain.urls import redact
from ops.backup.manifest import Manifest, StoredFile, checksum_of

PHOTOS: Final = "photos"
FILES: Final = "files"
SNAPSHOTS: Final = "snapshots"
WRITING: Final = "writing"
"""Holds a file for each snapshot that is being written."""
MANIFEST: Final = "manifest.json"
CHECKSUM: Final = "manifest.sha256"

ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z(-[0-9a-f]{4})?")
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
GRACE: Final = timedelta(hours=24)
"""How long what no snapshot has is kept: another one may be on its way."""


class Destination:
    """Snapshots at a folder or an fsspec URL. Constructing it reads nothing.

    Every method raises Unavailable when the place can't be reached.
    """

    def __init__(self, place: str) -> None:
        self._location = location_of(place)
        self.name: Final = redact(self._location)
        self.photos: Final = PhotoStore(f"{self._location}/{PHOTOS}")
        self.files: Final = StoredFiles(self._location)

    @property
    def folder(self) -> Path | None:
        """The folder; None if it is elsewhere."""
        return None if self.files.is_elsewhere else Path(self._location)

    def check(self) -> None:
        """Look whether there can be snapshots. Raises SetupError, Misconfigured, Unavailable."""
        with self._told():
            check(self._location)

    def prepare(self) -> None:
        """Make the folder, for its owner only. Raises OSError."""
        if self.folder is not None and not self.folder.exists():
            make_folder(self.folder)
            self.folder.chmod(0o700)

    def snapshots(self) -> list[str]:
        """The ids of all complete snapshots, the oldest first."""
        with self._told():
            names = self.files.names_in(SNAPSHOTS)
            return sorted(
                name
                for name in names
                if ID.fullmatch(name) and CHECKSUM in self.files.names_in(f"{SNAPSHOTS}/{name}")
            )

    def read(self, snapshot_id: str) -> Manifest:
        """The manifest of a snapshot. Raises NotFound, and InvalidInput if it is damaged."""
        if not ID.fullmatch(snapshot_id):
            raise NotFound(f"There is no snapshot {snapshot_id!r} in {self.name}.")
        folder = f"{SNAPSHOTS}/{snapshot_id}"
        try:
            with self._told():
                checksum = self.files.read(f"{folder}/{CHECKSUM}")
        except NotFound as error:
            raise NotFound(f"There is no snapshot {snapshot_id} in {self.name}.") from error
        try:
            with self._told():
                raw = self.files.read(f"{folder}/{MANIFEST}")
        except NotFound as error:
            raise InvalidInput(f"The manifest of the snapshot {snapshot_id} is missing.") from error
        return Manifest.parse(raw, checksum, snapshot_id)

    def newest(self) -> str:
        """The id of the newest snapshot. Raises NotFound."""
        if not (found := self.snapshots()):
            raise NotFound(f"There is no snapshot in {self.name}.")
        return found[-1]

    def complete(self, manifest: Manifest) -> None:
        """Write the manifest, by which all that was stored becomes a snapshot."""
        raw = manifest.to_json()
        folder = f"{SNAPSHOTS}/{manifest.id}"
        with self._told():
            self.files.write(f"{folder}/{MANIFEST}", raw)
            self.files.write(f"{folder}/{CHECKSUM}", checksum_of(raw))

    def forget(self, snapshot_id: str) -> None:
        """Delete a snapshot's manifest: its files go with the next `remove_unused`."""
        with self._told():
            # First what makes it complete.
            self.files.delete(f"{SNAPSHOTS}/{snapshot_id}/{CHECKSUM}")
            self.files.delete(f"{SNAPSHOTS}/{snapshot_id}")

    def put(self, path: Path, place: str, on_part: Callable[[], None] = lambda: None) -> StoredFile:
        """Store a file unless it is there already, and read back what was written.

        Raises InvalidInput if it was changed meanwhile or is not what was written.
        """
        entry = StoredFile(path=place, sha256=sha256_of(path), bytes=path.stat().st_size)
        with self._told():
            if self.files.size(_place_of(entry)) != entry.bytes:
                self.files.upload(path, _place_of(entry), on_part)
                if (problem := self.problem_with(entry)) is not None:
                    raise InvalidInput(f"{problem} It was just written: run the backup again.")
        return entry

    def take(self, part: Path, place: str) -> tuple[Path, StoredFile]:
        """As `put`, by renaming a synced file that is in the folder; also where it is then."""
        entry = StoredFile(path=place, sha256=sha256_of(part), bytes=part.stat().st_size)
        target = Path(self._location) / _place_of(entry)
        make_folder(target.parent)
        part.replace(target)
        sync_folder(target.parent)
        if (problem := self.problem_with(entry)) is not None:
            raise InvalidInput(f"{problem} It was just written: run the backup again.")
        return target, entry

    def parts(self, entry: StoredFile) -> Iterator[bytes]:
        """A file's bytes. Raises InvalidInput, after the last part, if they are not its own."""
        hashed, size = sha256(), 0
        try:
            with self._told():
                for part in self.files.parts(_place_of(entry)):
                    hashed.update(part)
                    size += len(part)
                    yield part
        except NotFound as error:
            raise InvalidInput(f"{entry.path} is missing: {_place_of(entry)}.") from error
        if (size, hashed.hexdigest()) != (entry.bytes, entry.sha256):
            problem = "truncated" if size < entry.bytes else "not what was written"
            raise InvalidInput(f"{entry.path} is {problem}: {_place_of(entry)}.")

    def problem_with(self, entry: StoredFile) -> str | None:
        """What is wrong with a stored file, as a sentence; every byte of it is read."""
        try:
            for _ in self.parts(entry):
                pass
        except InvalidInput as error:
            return str(error)
        return None

    @contextmanager
    def being_written(self, snapshot_id: str, now: datetime) -> Generator[None]:
        """Say that a snapshot is being written, so that nothing it needs is removed."""
        name = f"{WRITING}/{snapshot_id}"
        with self._told():
            self.files.write(name, now.isoformat().encode())
        try:
            yield
        finally:
            with self._told():
                self.files.delete(name)

    def others_writing(self, snapshot_id: str, now: datetime) -> list[str]:
        """The ids of other snapshots that are being written; those of killed processes end."""
        with self._told():
            others = self.files.names_in(WRITING) - {snapshot_id}
            since = {name: self.files.modified(f"{WRITING}/{name}") for name in others}
            for name, at in since.items():
                if at is not None and now - at > GRACE:
                    self.files.delete(f"{WRITING}/{name}")
        return sorted(name for name, at in since.items() if at is not None and now - at <= GRACE)

    def remove_files(self, kept: set[str], now: datetime) -> int:
        """Delete files that are not among the kept SHA-256, once they are old; how many."""
        removed = 0
        with self._told():
            for name in sorted(self.files.names_in(FILES) - kept):
                at = self.files.modified(f"{FILES}/{name}")
                is_ours = DIGEST.fullmatch(name) or name.endswith(".part")
                if is_ours and at is not None and now - at > GRACE:
                    self.files.delete(f"{FILES}/{name}")
                    removed += 1
        return removed

    def scratch(self, snapshot_id: str) -> Path | None:
        """A new file's path in the destination's folder, to be renamed; None if it is elsewhere."""
        if self.folder is None:
            return None
        make_folder(self.folder / FILES)
        return self.folder / FILES / f".{snapshot_id}.{os.getpid()}.part"

    @contextmanager
    def _told(self) -> Generator[None]:
        """Say of failures that they are of this place: it is read by the photo store's modules."""
        try:
            yield
        except Unavailable as error:
            told = type(error)(f"The backups in {self.name} can't be reached or written.")
            for note in [str(error), *getattr(error, "__notes__", [])]:
                told.add_note(note.partition(" See MARKETLENS_")[0])
            raise told from error


def _place_of(entry: StoredFile) -> str:
    return f"{FILES}/{entry.sha256}"
