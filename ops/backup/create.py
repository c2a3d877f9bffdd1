"""Writes a snapshot of a running deployment.

The order makes it consistent. Columns come first: they may be older than the database, and never
newer. Then the database, as one transaction sees it. What its rows refer to was stored before them,
and is kept until it is copied: photos by a hold on the store, generations by a lock on their files.
The manifest comes last, and makes all of it a snapshot: what a killed backup leaves is none.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self, TextIO
from uuid import uuid4

from db.session import database_url
from db.snapshot.read import (
    LiveGeneration,
    active_encoder_of,
    deployment_of,
    is_sound,
    live_generations,
    opened,
    photos_named,
)
from db.snapshot.write import size_of, write_snapshot
from db.store.holds import held
from db.store.photo_store import PhotoStore
from models.domain.errors import GenerationCorrupt, InvalidInput, SetupError
from models.index.checksums import verify_generation
from models.index.manifest import MANIFEST_FILE
from ops.backup.destination import Destination
from ops.backup.manifest import (
    COLUMNS,
    DATABASE,
    FORMAT,
    GENERATIONS,
    MODELS,
    PHOTO_LIST,
    DatabaseCopy,
    Manifest,
    StoredFile,
)
from ops.backup.photos import Copied, copy_photos, digests_in, missing_photos, some_of
from workers.generations.publish import fetch_generation

SPARE_BYTES: Final = 64 * 2**20
"""What is to be left on a disk."""

Show = Callable[[str, int, int, bool], None]
"""Moves a named bar: how much is done, how much there is, and whether that is bytes."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where everything is that a snapshot has."""

    database_url: str
    store: PhotoStore
    models_dir: Path
    generations_dir: Path
    columns_file: Path


@dataclass(frozen=True, slots=True)
class Reporting:
    """How a backup or a restore tells how far it is, and what is to be looked at."""

    show: Show
    say: Callable[[str], None]
    clock: Callable[[], datetime]

    def bar(self, name: str, *, in_bytes: bool = False) -> Callable[[int, int], None]:
        """Moves the bar of this name."""
        return lambda done, total: self.show(name, done, total, in_bytes)


@dataclass(frozen=True, slots=True)
class CopiedDatabase:
    """The database's copy: where it can be read, and what it says of itself."""

    path: Path
    file: StoredFile
    about: DatabaseCopy
    live: list[LiveGeneration]
    encoder: str | None


def back_up(
    deployment: Deployment,
    destination: Destination,
    reporting: Reporting,
    *,
    recheck: bool = False,
) -> Manifest:
    """Write a snapshot and verify it; gives its manifest.

    With `recheck`, photos that earlier snapshots have are read too, and written again if they are
    damaged. Raises SetupError, Unavailable, OSError, and InvalidInput if what was written can't be
    read back.
    """
    destination.check()
    destination.prepare()
    started = reporting.clock()
    snapshot_id = _new_id(destination, started)
    with ExitStack() as stack:
        stack.enter_context(destination.being_written(snapshot_id, started))
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="marketlens-backup-")))
        beat = stack.enter_context(held(deployment.store.files, reporting.clock))
        locks = stack.enter_context(GenerationLocks(deployment.generations_dir))
        locks.add_all()
        files = _put_columns(deployment.columns_file, destination)
        database = _copy_database(deployment, destination, snapshot_id, scratch, reporting)
        files.append(database.file)
        # Those that were made live meanwhile.
        locks.add_all()
        files += _put_models(deployment.models_dir, destination, beat, reporting)
        generations = _put_generations(deployment, destination, database.live, scratch, reporting)
        files += [file for stored in generations.values() for file in stored]
        copied, photo_list, photos = _put_photos(
            deployment.store, destination, database.path, scratch, reporting, beat, recheck=recheck
        )
        manifest = Manifest(
            format=FORMAT,
            id=snapshot_id,
            created_at=started.isoformat(),
            release=_release(),
            database=database.about,
            photos=photos,
            photo_bytes_added=copied.bytes,
            absent=len(copied.absent) + len(copied.damaged),
            generations=tuple(generations),
            encoder=database.encoder,
            files=(*files, photo_list),
        )
        destination.complete(manifest)
        return destination.read(snapshot_id)


class GenerationLocks:
    """Keeps the generations of this machine from being removed, as if searches were made with them.

    A context manager.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for descriptor in self._held.values():
            os.close(descriptor)

    def add_all(self) -> None:
        """Lock all that are there and are not locked yet."""
        for manifest in self._folder.glob(f"[0-9]*/{MANIFEST_FILE}"):
            if manifest.parent.name in self._held:
                continue
            with suppress(FileNotFoundError, NotADirectoryError):
                descriptor = os.open(manifest, os.O_RDONLY)
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                self._held[manifest.parent.name] = descriptor


def _release() -> str:
    try:
        return version("marketlens-search")
    except PackageNotFoundError:  # run from its source
        return "unknown"


def _new_id(destination: Destination, now: datetime) -> str:
    name = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    taken = {*destination.snapshots(), *destination.others_writing("", now)}
    return f"{name}-{uuid4().hex[:4]}" if name in taken else name


def _put_columns(file: Path, destination: Destination) -> list[StoredFile]:
    if not file.is_file():
        return []
    return [destination.put(file, f"{COLUMNS}/{file.name}")]


def _copy_database(
    deployment: Deployment,
    destination: Destination,
    snapshot_id: str,
    scratch: Path,
    reporting: Reporting,
) -> CopiedDatabase:
    in_place = destination.scratch(snapshot_id)
    part = in_place or scratch / DATABASE
    _require_room(part.parent, size_of(deployment.database_url))
    try:
        written = write_snapshot(
            deployment.database_url,
            part,
            reporting.bar("database", in_bytes=_is_sqlite(deployment)),
        )
        if not is_sound(part):
            raise InvalidInput("The copy of the database is damaged: run the backup again.")
        if in_place is None:
            path, file = part, destination.put(part, DATABASE)
        else:
            path, file = destination.take(part, DATABASE)
    finally:
        if in_place is not None:
            in_place.unlink(missing_ok=True)
    with opened(path) as snapshot:
        about = DatabaseCopy(
            kind=written.kind, revision=written.revision, deployment=deployment_of(snapshot)
        )
        return CopiedDatabase(
            path, file, about, live_generations(snapshot), active_encoder_of(snapshot)
        )


def _is_sqlite(deployment: Deployment) -> bool:
    return database_url(deployment.database_url).get_backend_name() == "sqlite"


def _require_room(folder: Path, wanted: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < wanted + SPARE_BYTES:
        raise SetupError(
            f"The database's copy takes about {wanted:,} bytes, and {folder} has {free:,} left: "
            "make room, or set TMPDIR to a folder that has."
        )


def _put_models(
    models_dir: Path, destination: Destination, beat: Callable[[], None], reporting: Reporting
) -> list[StoredFile]:
    """Every encoder's folder. Files outside of one are downloads, which can be made again."""
    paths = [
        path
        for path in sorted(models_dir.glob("[!.]*/**/*"))
        if path.is_file() and not path.name.startswith(".")
    ]
    stored = []
    for path in paths:
        beat()
        place = f"{MODELS}/{path.relative_to(models_dir).as_posix()}"
        stored.append(destination.put(path, place, beat))
        reporting.show("encoders", len(stored), len(paths), False)
    return stored


def _put_generations(
    deployment: Deployment,
    destination: Destination,
    live: list[LiveGeneration],
    scratch: Path,
    reporting: Reporting,
) -> dict[int, list[StoredFile]]:
    """The files of each live generation that can be had, by its id."""
    stored: dict[int, list[StoredFile]] = {}
    for generation in live:
        folder = deployment.generations_dir / str(generation.id)
        try:
            if not folder.exists():
                # Another machine has built it.
                fetch_generation(
                    deployment.store, scratch, generation.id, generation.manifest_sha256
                )
                folder = scratch / str(generation.id)
            manifest = verify_generation(folder, generation.manifest_sha256)
        except (GenerationCorrupt, OSError) as error:
            reporting.say(
                f"Without generation {generation.id}, which a restored machine builds anew: {error}"
            )
            continue
        names = [MANIFEST_FILE, *manifest.files]
        files = []
        for name in names:
            files.append(destination.put(folder / name, f"{GENERATIONS}/{generation.id}/{name}"))
            reporting.show("index", len(files), len(names), False)
        stored[generation.id] = files
    return stored


def _put_photos(
    store: PhotoStore,
    destination: Destination,
    snapshot: Path,
    scratch: Path,
    reporting: Reporting,
    beat: Callable[[], None],
    *,
    recheck: bool,
) -> tuple[Copied, StoredFile, int]:
    """Copy the photos that the database's copy names; what was copied, their list, their number."""
    named, final = scratch / "named", scratch / PHOTO_LIST
    with opened(snapshot) as connection, named.open("w", encoding="ascii") as file:
        total = _write_lines(file, photos_named(connection))
    copied = copy_photos(
        digests_in(named),
        store,
        destination.photos,
        now=reporting.clock(),
        total=total,
        recheck=recheck,
        on_progress=reporting.bar("photos"),
        beat=beat,
    )
    for found, problem in ((copied.absent, "not in the store"), (copied.damaged, "damaged there")):
        if found:
            reporting.say(f"{len(found):,} photos are {problem}: {some_of(found)}.")
    left_out = {*copied.absent, *copied.damaged}
    with final.open("w", encoding="ascii") as file:
        count = _write_lines(
            file,
            (
                digest
                for _, group in digests_in(named)
                for digest in group
                if digest not in left_out
            ),
        )
    lost = list(
        missing_photos(digests_in(final), destination.photos, now=reporting.clock(), beat=beat)
    )
    if lost:
        raise InvalidInput(
            f"{len(lost):,} photos are gone from {destination.name} while it was written: "
            f"{some_of(lost)}. Run the backup again."
        )
    return copied, destination.put(final, PHOTO_LIST), count


def _write_lines(file: TextIO, digests: Iterable[str]) -> int:
    count = 0
    for digest in digests:
        file.write(f"{digest}\n")
        count += 1
    return count
