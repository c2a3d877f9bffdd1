"""Prepare photos of a feed: read, standardise and store them in several processes."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from db.catalogue.listing_photos import PhotoData
from db.statements import chunks
from db.store.photo_store import PhotoStore
from etl.photos.ledger import Ledger
from etl.photos.photo_files import Outcome, PhotoFile, Refused, keep_photo
from etl.photos.photo_lookup import PhotoLookup
from etl.photos.process_pool import Job, run_in_order

# The batch size of file look-ups before decoding.
LOOKUP_BATCH: Final = 64

DECODER_CRASHED: Final[Outcome] = Refused("The photo can't be decoded: its decoder dies of it.")


@dataclass(frozen=True, slots=True)
class FeedPhoto:
    """A photo that the feed names: its row in the images table, and its file.

    Ids are UUIDs in their canonical spelling.
    """

    row: int
    id: str
    listing_id: str
    path: Path


@dataclass(frozen=True, slots=True)
class PreparedPhoto:
    """A stored photo; or, if it can't be used, the reason instead of `data`."""

    source: FeedPhoto
    data: PhotoData | None
    reason: str = ""


@dataclass(slots=True, eq=False, kw_only=True)
class _PhotoJob(Job[str, Outcome]):
    """A photo, by the path of its file; `undecoded` is that file if its outcome is unknown."""

    source: FeedPhoto
    undecoded: PhotoFile | None = None


def prepare_photos(
    photos: Iterable[FeedPhoto],
    store: PhotoStore | None,
    ledger: Ledger | None,
    *,
    max_bytes: int,
    processes: int,
) -> Generator[PreparedPhoto]:
    """Prepare photos in parallel and yield them in their order. Memory stays bounded.

    Without a store nothing is written. Photos in the ledger are not decoded again while the store
    has them, and new outcomes are recorded there. An unusable photo has a reason and is no error.
    Raises Unavailable when the store can't be used, and SetupError when the ledger can't or
    processes can't be started.
    """
    keep = partial(keep_photo, store=store, max_bytes=max_bytes)
    jobs = _jobs(photos, store, ledger, max_bytes)
    # Closed, so that the processes end when this generator is closed.
    with closing(run_in_order(keep, jobs, processes, when_killed=DECODER_CRASHED)) as done:
        for job, outcome in done:
            if job.undecoded is not None and store is not None and ledger is not None:
                ledger.record(job.undecoded, outcome)
            yield _prepared(job.source, outcome)


def _jobs(
    photos: Iterable[FeedPhoto], store: PhotoStore | None, ledger: Ledger | None, max_bytes: int
) -> Iterator[_PhotoJob]:
    """The photos as jobs, with their outcome where it is known without decoding."""
    lookup = PhotoLookup(max_bytes)
    for batch in chunks(photos, LOOKUP_BATCH):
        found = [lookup.find(photo.path) for photo in batch]
        files = [file for file in found if isinstance(file, PhotoFile)]
        known = ledger.lookup(files) if ledger is not None else {}
        for photo, file in zip(batch, found, strict=True):
            if isinstance(file, Refused):
                yield _PhotoJob(task="", source=photo, result=file)
            elif (outcome := known.get(file)) and _holds(outcome, store):
                yield _PhotoJob(task=file.path, source=photo, result=outcome)
            else:
                yield _PhotoJob(task=file.path, source=photo, undecoded=file)


def _holds(outcome: Outcome, store: PhotoStore | None) -> bool:
    """Whether a recorded outcome is still valid: the store may have lost the photo."""
    return isinstance(outcome, Refused) or store is None or store.has(outcome.sha256)


def _prepared(source: FeedPhoto, outcome: Outcome) -> PreparedPhoto:
    if isinstance(outcome, Refused):
        return PreparedPhoto(source, None, outcome.reason)
    data = PhotoData(outcome.sha256, outcome.width, outcome.height, outcome.incomplete)
    return PreparedPhoto(source, data)
