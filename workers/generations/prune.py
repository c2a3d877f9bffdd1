"""Removes generations that are not kept, from this machine and from the store.

Rows come first: once a generation's row says that it is not kept, no process opens it. Its files
are removed when no process has them open; what could not be removed, or was left by a killed
process, is removed by the next call of `remove_unused_files`.
"""

import fcntl
import os
import shutil
from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from db import audit
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors import generations
from db.vectors.encoders import all_encoders
from models.index.build import remove_generation
from workers.generations.folders import generation_in, is_open, is_unused
from workers.generations.publish import (
    clear_unfinished_fetch,
    published_generations,
    unpublish_generation,
)


@dataclass(frozen=True, slots=True)
class RemovedFiles:
    """Generations by id: the files of `removed` were deleted from this machine, those of
    `unpublished` from the store; `held` are open in a process here, and stay until they are closed.
    """

    removed: list[int]
    unpublished: list[int]
    held: list[int]


@dataclass(frozen=True, slots=True)
class Pruned:
    """Ids of the generations that are no longer kept, and the files that were removed."""

    retired: list[int]
    files: RemovedFiles


def prune(
    database: Database,
    generations_dir: Path,
    store: PhotoStore,
    *,
    keep: int,
    encoder_ids: Collection[int] | None = None,
) -> Pruned:
    """Keep `keep` generations of each of these encoders, or of all, and remove all other files.

    The live one is kept first, then those that were live most recently. Raises Unavailable and
    OSError.
    """
    with database.write() as session:
        generations.end_orphaned(session)
        if encoder_ids is None:
            encoder_ids = [row.id for row in all_encoders(session)]
        retired = [
            generation_id
            for encoder_id in encoder_ids
            for generation_id in generations.retire_surplus(session, encoder_id, keep)
        ]
    return Pruned(sorted(retired), remove_unused_files(database, generations_dir, store))


def remove_unused_files(
    database: Database, generations_dir: Path, store: PhotoStore
) -> RemovedFiles:
    """Remove the files of every generation that is not kept. Raises Unavailable and OSError."""
    removed, held = remove_unused_folders(database, generations_dir)
    return RemovedFiles(removed, _unpublish_unused(database, store), held)


def would_prune(
    database: Database, generations_dir: Path, store: PhotoStore, *, keep: int
) -> Pruned:
    """What `prune` of all encoders would do now; nothing is changed."""
    with database.read() as session:
        retired = [
            generation_id
            for row in all_encoders(session)
            for generation_id in generations.surplus(session, row.id, keep)
        ]
    unused = {*_unused(database, generations_dir), *_existing(generations_dir, retired)}
    ids = {found for folder in unused if (found := generation_in(folder)) is not None}
    held = {number for number in ids if is_open(generations_dir / str(number))}
    unpublished = {*unused_published(database, store)}
    unpublished |= published_generations(store).intersection(retired)
    return Pruned(
        sorted(retired), RemovedFiles(sorted(ids - held), sorted(unpublished), sorted(held))
    )


def unused_folders(database: Database, generations_dir: Path) -> list[Path]:
    """The folders here of generations that are not kept and that no process here has open."""
    # Checked again: a build's temporary folder is gone once its row is live.
    folders = _unused(database, generations_dir)
    return [folder for folder in folders if folder.exists() and not is_open(folder)]


def unused_published(database: Database, store: PhotoStore) -> list[int]:
    """The published generations that are not kept, by id. Raises Unavailable."""
    published = published_generations(store)
    with database.read() as session:
        statuses = audit.generation_statuses(session)
    return sorted(number for number in published if statuses.get(number) not in generations.KEPT)


def _existing(generations_dir: Path, generation_ids: Collection[int]) -> list[Path]:
    folders = [generations_dir / str(generation_id) for generation_id in generation_ids]
    return [folder for folder in folders if folder.exists()]


def remove_unused_folders(database: Database, generations_dir: Path) -> tuple[list[int], list[int]]:
    """Remove the folders here of generations not kept; gives the ids removed and in use."""
    if not generations_dir.is_dir():
        return [], []
    removed: list[int] = []
    held: list[int] = []
    with _locked(generations_dir):
        for folder in _unused(database, generations_dir):
            generation_id = generation_in(folder)
            if generation_id is None:
                shutil.rmtree(folder, ignore_errors=True)
            elif remove_generation(folder):
                removed.append(generation_id)
            else:
                held.append(generation_id)
    clear_unfinished_fetch(generations_dir)
    return sorted(removed), sorted(held)


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    """Hold the folder's lock: two processes would find each other's folders half deleted."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unused(database: Database, generations_dir: Path) -> list[Path]:
    # Folders are listed before rows are read: a row is committed before its folder.
    folders = sorted(generations_dir.glob("*"))
    with database.read() as session:
        statuses = audit.generation_statuses(session)
    return [folder for folder in folders if is_unused(folder, statuses)]


def _unpublish_unused(database: Database, store: PhotoStore) -> list[int]:
    unused = unused_published(database, store)
    for generation_id in unused:
        unpublish_generation(store, generation_id)
    return unused
