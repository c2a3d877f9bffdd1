"""Puts a snapshot in place on an empty machine.

First all of it is verified: a snapshot that is damaged changes nothing. Then photos, encoders,
generations and columns are put in place, each whole or not at all, and last the database, by which
all of them count. A note in the data folder says which snapshot is being restored until then, so
that a killed restore can be run again, and that nothing is started before.
"""

import shutil
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from db.consumption import FRESH_FOR, consumed_lately
from db.session import Database
from db.snapshot.load import check_revision, holds_something, is_restored, load_snapshot
from db.snapshot.read import is_sound, live_generations, opened
from db.store.photo_store import PhotoStore
from models.domain.clock import utc_now
from models.domain.durable_files import (
    atomic_file,
    make_folder,
    new_file,
    sync_folder,
)
from models.domain.errors import Conflict, InvalidInput
from models.index.checksums import verify_generation
from ops.backup.create import Deployment, Reporting
from ops.backup.destination import Destination
from ops.backup.manifest import COLUMNS, DATABASE, GENERATIONS, MODELS, Manifest, StoredFile
from ops.backup.note import Note, read_note, remove_note, write_note
from ops.backup.photos import copy_photos, digests_in, some_of
from ops.backup.verify import photo_list, require_sound
from workers.generations.publish import publish_generation

STAGING: Final = ".restoring-"


def restore(
    deployment: Deployment,
    data_dir: Path,
    destination: Destination,
    manifest: Manifest,
    reporting: Reporting,
    *,
    replace: bool,
) -> None:
    """Restore a snapshot. Nothing may run; the caller holds the data folder's lock.

    Raises Conflict where there is something already, unless it is to be replaced; InvalidInput for
    a snapshot that is damaged, before anything is changed; SetupError for one of a later release;
    Unavailable and OSError.
    """
    check_revision(manifest.database.revision)
    note = read_note(data_dir)
    replaces = replace or (note is not None and note.replaces)
    if replaces:
        _require_stopped(deployment.database_url)
    elif note is None:
        _require_empty(deployment)
    elif note.snapshot != manifest.id:
        raise Conflict(
            f"The snapshot {note.snapshot} is being restored to {data_dir}: run that again, or "
            "replace it with --replace."
        )
    require_sound(destination, manifest, reporting.show)
    for left in data_dir.glob(f"{STAGING}*"):
        shutil.rmtree(left)
    # In the data folder, from which files can be renamed to where they belong.
    with TemporaryDirectory(prefix=STAGING, dir=data_dir) as folder:
        staged = Path(folder)
        for done, file in enumerate(manifest.files, 1):
            _stage(destination, file, staged)
            reporting.show("fetched", done, len(manifest.files), False)
        database = staged / DATABASE
        if not is_sound(database):
            raise InvalidInput(f"The database of the snapshot {manifest.id} is damaged.")
        # Else it was killed between its last two steps.
        if replaces or note is None or not is_restored(deployment.database_url, database):
            write_note(data_dir, Note(manifest.id, replaces))
            _put_in_place(deployment, destination, manifest, staged, reporting)
    remove_note(data_dir)


def _put_in_place(
    deployment: Deployment,
    destination: Destination,
    manifest: Manifest,
    staged: Path,
    reporting: Reporting,
) -> None:
    _restore_photos(deployment.store, destination, manifest, reporting)
    _place_folders(staged / MODELS, deployment.models_dir)
    _place_generations(staged, deployment)
    _place_columns(staged / COLUMNS, deployment.columns_file)
    load_snapshot(
        staged / DATABASE,
        kind=manifest.database.kind,
        revision=manifest.database.revision,
        into=deployment.database_url,
        on_progress=reporting.bar("database"),
    )


def _require_stopped(url: str) -> None:
    """Raise Conflict if queues are consumed, by processes that would go on with the old files."""
    if not holds_something(url):
        return
    with closing(Database(url)) as database, database.read() as session:
        consumed = consumed_lately(session, utc_now())
    if consumed:
        raise Conflict(
            f"Processes have used the database within {FRESH_FOR.seconds} s: stop the API, the "
            "workers and the relay, and restore then."
        )


def _require_empty(deployment: Deployment) -> None:
    if holds_something(deployment.database_url):
        raise Conflict(
            "There is a catalogue here already: restore to an empty machine, or replace all that "
            "is here with --replace."
        )


def _stage(destination: Destination, file: StoredFile, staged: Path) -> None:
    path = staged / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as written:
        path.chmod(0o600)
        written.writelines(destination.parts(file))


def _restore_photos(
    store: PhotoStore, destination: Destination, manifest: Manifest, reporting: Reporting
) -> None:
    with photo_list(destination, manifest) as listed:
        copied = copy_photos(
            digests_in(listed),
            destination.photos,
            store,
            now=reporting.clock(),
            total=manifest.photos,
            recheck=False,
            on_progress=reporting.bar("photos"),
        )
    if lost := [*copied.absent, *copied.damaged]:
        raise InvalidInput(
            f"{len(lost):,} photos of the snapshot have gone or changed since it was verified: "
            f"{some_of(lost)}. Restore another one, with --replace."
        )


def _place_folders(staged: Path, target: Path) -> None:
    """Put each encoder's folder in place; one of the same name is replaced."""
    if not staged.is_dir():
        return
    make_folder(target)
    for folder in sorted(staged.iterdir()):
        _replace_folder(folder, target / folder.name)


def _place_generations(staged: Path, deployment: Deployment) -> None:
    """Put the live generations in place. Others, of whatever was here, are removed."""
    with opened(staged / DATABASE) as connection:
        live = {row.id: row.manifest_sha256 for row in live_generations(connection)}
    target = deployment.generations_dir
    if target.exists():
        for folder in target.glob("[0-9]*"):
            shutil.rmtree(folder)
    source = staged / GENERATIONS
    if not source.is_dir():
        return
    make_folder(target)
    for folder in sorted(source.iterdir()):
        generation_id = int(folder.name)
        verify_generation(folder, live.get(generation_id))
        _replace_folder(folder, target / folder.name)
        publish_generation(deployment.store, target / folder.name, generation_id)


def _place_columns(staged: Path, file: Path) -> None:
    file.unlink(missing_ok=True)
    if (found := next(_files_in(staged), None)) is not None:
        make_folder(file.parent)
        with found.open("rb") as source, atomic_file(file, concurrent=True) as written:
            shutil.copyfileobj(source, written)


def _files_in(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.iterdir())) if folder.is_dir() else iter(())


def _replace_folder(staged: Path, target: Path) -> None:
    """Rename a folder whose files are synced to where it belongs."""
    for path in [*staged.rglob("*"), staged]:
        if path.is_dir():
            sync_folder(path)
    with suppress(FileNotFoundError):
        shutil.rmtree(target)
    staged.rename(target)
    sync_folder(target.parent)
