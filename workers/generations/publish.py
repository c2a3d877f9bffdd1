"""Generations in the photo store, for machines that did not build them.

A store that is a local folder is not shared: nothing is published there. Imports no faiss.
"""

import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout

from db.store.photo_store import PhotoStore
from models.domain.durable_files import make_folder, new_file, sync_folder
from models.domain.errors import GenerationCorrupt, NotFound
from models.index.checksums import verify_generation
from models.index.manifest import MANIFEST_FILE, Manifest, from_json

PUBLISHED = "generations"
_PARTIAL_FOLDER = ".fetching"
_LOCK = ".fetching.lock"


def publish_generation(
    store: PhotoStore, folder: Path, generation_id: int, beat: Callable[[], None] = lambda: None
) -> None:
    """Upload the files of the generation in `folder` to the store.

    `beat` is called every few megabytes; what it raises stops the upload. The manifest comes last:
    where it is published, all files are. Raises Unavailable.
    """
    if not store.files.is_elsewhere:
        return
    raw = (folder / MANIFEST_FILE).read_bytes()
    for name in from_json(raw).files:
        store.files.upload(folder / name, f"{_store_path(generation_id)}/{name}", beat)
    store.files.write(f"{_store_path(generation_id)}/{MANIFEST_FILE}", raw)
    beat()


def unpublish_generation(store: PhotoStore, generation_id: int) -> None:
    """Delete the published files of a generation, if there are any. Raises Unavailable."""
    if not store.files.is_elsewhere:
        return
    # The manifest first, so that no process begins to fetch what is being deleted.
    store.files.delete(f"{_store_path(generation_id)}/{MANIFEST_FILE}")
    store.files.delete(_store_path(generation_id))


def published_generations(store: PhotoStore) -> set[int]:
    """The generations of which something is published. Raises Unavailable."""
    if not store.files.is_elsewhere:
        return set()
    return {int(name) for name in store.files.names_in(PUBLISHED) if name.isdecimal()}


def published_manifest(
    store: PhotoStore, generation_id: int, manifest_sha256: str | None
) -> Manifest:
    """The manifest of a published generation, verified by the hash that the database recorded.

    Raises GenerationCorrupt if it is not published or its hash differs, and Unavailable.
    """
    return from_json(_manifest_bytes(store, generation_id, manifest_sha256))


def fetch_generation(
    store: PhotoStore, generations_dir: Path, generation_id: int, manifest_sha256: str | None
) -> None:
    """Download the generation into `generations_dir`, if it is published and not there yet.

    `manifest_sha256` is what the database recorded; every file is verified before the folder gets
    its name. Processes of one machine take turns, so that only the first downloads it. Raises
    GenerationCorrupt if it is not published or its files are not those that were built, and
    Unavailable; a partial download is deleted then, or by the next fetch after a kill.
    """
    target = generations_dir / str(generation_id)
    if not store.files.is_elsewhere or target.exists():
        return
    make_folder(generations_dir)
    with FileLock(generations_dir / _LOCK):
        if target.exists():
            return
        partial_folder = generations_dir / _PARTIAL_FOLDER
        shutil.rmtree(partial_folder, ignore_errors=True)
        partial_folder.mkdir()
        try:
            _download(store, generation_id, manifest_sha256, partial_folder)
            verify_generation(partial_folder, manifest_sha256)
            sync_folder(partial_folder)
            partial_folder.rename(target)
            sync_folder(generations_dir)
        finally:
            shutil.rmtree(partial_folder, ignore_errors=True)


def clear_unfinished_fetch(generations_dir: Path) -> None:
    """Delete what a killed fetch left, unless another fetch is running."""
    if not (generations_dir / _PARTIAL_FOLDER).exists():
        return
    try:
        with FileLock(generations_dir / _LOCK, timeout=0):
            shutil.rmtree(generations_dir / _PARTIAL_FOLDER, ignore_errors=True)
    except Timeout:
        return


def _download(
    store: PhotoStore, generation_id: int, manifest_sha256: str | None, folder: Path
) -> None:
    raw = _manifest_bytes(store, generation_id, manifest_sha256)
    for name in from_json(raw).files:
        try:
            with new_file(folder / name) as file:
                store.files.download(f"{_store_path(generation_id)}/{name}", file)
        except NotFound as error:
            raise GenerationCorrupt(f"{name} of generation {generation_id} is missing.") from error
    with new_file(folder / MANIFEST_FILE) as file:
        file.write(raw)


def _manifest_bytes(store: PhotoStore, generation_id: int, manifest_sha256: str | None) -> bytes:
    try:
        raw = store.files.read(f"{_store_path(generation_id)}/{MANIFEST_FILE}")
    except NotFound as error:
        raise GenerationCorrupt(f"Generation {generation_id} is not published.") from error
    if sha256(raw).hexdigest() != manifest_sha256:
        raise GenerationCorrupt(
            f"The published manifest of generation {generation_id} is not the one recorded."
        )
    return raw


def _store_path(generation_id: int) -> str:
    return f"{PUBLISHED}/{generation_id}"
