"""Removing generations that nobody needs, here and from where they are published.

Rows come first: once a generation's row says that it is not kept, nobody opens it. Its files go
when no process has them open any more; whatever could not be removed, or was left by a killed
process, the next sweep finds.
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
class Swept:
    """Generations by id: the files of `removed` are gone from this machine, those of `unpublished`
    from the store; `held` are still open here, and remain until they are not.
    """

    removed: list[int]
    unpublished: list[int]
    held: list[int]


@dataclass(frozen=True, slots=True)
class Pruned:
    """Generations that are not kept any more, by id, and what became of their files and others'."""

    forgotten: list[int]
    swept: Swept


def prune(
    database: Database,
    generations_dir: Path,
    store: PhotoStore,
    *,
    keep: int,
    encoder_ids: Collection[int] | None = None,
) -> Pruned:
    """Keep `keep` generations of each of these encoders, or of all, and remove all other files.

    The live one is kept first, then those that were live last. Raises Unavailable and OSError.
    """
    with database.write() as session:
        generations.end_forsaken(session)
        if encoder_ids is None:
            encoder_ids = [row.id for row in all_encoders(session)]
        forgotten = [
            generation_id
            for encoder_id in encoder_ids
            for generation_id in generations.retire_beyond(session, encoder_id, keep)
        ]
    return Pruned(sorted(forgotten), sweep(database, generations_dir, store))


def sweep(database: Database, generations_dir: Path, store: PhotoStore) -> Swept:
    """Remove the files of every generation that is not kept. Raises Unavailable and OSError."""
    removed, held = sweep_folders(database, generations_dir)
    return Swept(removed, _sweep_published(database, store), held)


def would_prune(
    database: Database, generations_dir: Path, store: PhotoStore, *, keep: int
) -> Pruned:
    """What `prune` of all encoders would do now; nothing is changed."""
    with database.read() as session:
        forgotten = [
            generation_id
            for row in all_encoders(session)
            for generation_id in generations.beyond(session, row.id, keep)
        ]
    unused = {*_unused(database, generations_dir), *_existing(generations_dir, forgotten)}
    ids = {found for folder in unused if (found := generation_in(folder)) is not None}
    held = {number for number in ids if is_open(generations_dir / str(number))}
    unpublished = {*unused_published(database, store)}
    unpublished |= published_generations(store).intersection(forgotten)
    return Pruned(sorted(forgotten), Swept(sorted(ids - held), sorted(unpublished), sorted(held)))


def unused_folders(database: Database, generations_dir: Path) -> list[Path]:
    """The folders here that no row has use for and no process of this machine has open."""
    # Looked at once more: what a build worked on is gone once its row is live.
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


def sweep_folders(database: Database, generations_dir: Path) -> tuple[list[int], list[int]]:
    """Remove every folder here that no row has use for; gives whose are gone and whose in use."""
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
    """One process at a time: two would find each other's folders half deleted."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unused(database: Database, generations_dir: Path) -> list[Path]:
    # The folders come first: when a generation has one, its row is there.
    folders = sorted(generations_dir.glob("*"))
    with database.read() as session:
        statuses = audit.generation_statuses(session)
    return [folder for folder in folders if is_unused(folder, statuses)]


def _sweep_published(database: Database, store: PhotoStore) -> list[int]:
    unused = unused_published(database, store)
    for generation_id in unused:
        unpublish_generation(store, generation_id)
    return unused
