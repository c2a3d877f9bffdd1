"""The perceptual hashes of photos: stored by embed jobs, computed here where they are missing."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from db.catalogue.perceptual_hashes import (
    count_without_phash,
    phashes_of,
    photos_without_phash,
    set_phashes,
)
from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.errors import InvalidInput, NotFound
from models.near_duplicates import perceptual_hash
from models.photo_decoding import decode
from workers.jobs.embed import DECODER_THREADS

PHOTOS_PER_BATCH: Final = 256


def hash_photos(
    database: Database, store: PhotoStore, on_progress: Callable[[int, int], None]
) -> int:
    """Hash every photo that a listing shows and that has none; returns how many can't be read."""
    with database.read() as session:
        total = count_without_phash(session)
    after = done = unreadable = 0
    with ThreadPoolExecutor(DECODER_THREADS, "decode") as pool:
        while True:
            with database.read() as session:
                photos = photos_without_phash(session, after, PHOTOS_PER_BATCH)
            if not photos:
                return unreadable
            after = max(photos)
            made = dict(zip(photos, pool.map(partial(_hash, store), photos.values()), strict=True))
            readable = {photo_id: phash for photo_id, phash in made.items() if phash is not None}
            with database.write() as session:
                set_phashes(session, readable)
            unreadable += len(made) - len(readable)
            done += len(made)
            on_progress(done, max(done, total))


def perceptual_hashes(
    database: Database, store: PhotoStore, hashes: Collection[str]
) -> dict[str, int]:
    """The perceptual hash of each photo that can be read, by SHA-256; computed if not stored."""
    with database.read() as session:
        found = phashes_of(session, hashes)
    for sha256 in hashes:
        if sha256 not in found and (phash := _hash(store, sha256)) is not None:
            found[sha256] = phash
    return found


def _hash(store: PhotoStore, sha256: str) -> int | None:
    try:
        return perceptual_hash(decode(store.get(sha256)))
    except (InvalidInput, NotFound):
        return None
