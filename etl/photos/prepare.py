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
from etl.photos.remote_photos import NOT_LOOKED_AT, RemotePhotos

# The batch size of file look-ups before decoding.
LOOKUP_BATCH: Final = 64

DECODER_CRASHED: Final[Outcome] = Refused("The photo can't be decoded: its decoder dies of it.")


@dataclass(frozen=True, slots=True)
class FeedPhoto:
    """A photo that the feed names: its row in the images table, and its file or its URL.

    Ids are UUIDs in their canonical spelling. `name` is what the feed calls the photo, where that
    is not its id.
    """

    row: int
    id: str
    listing_id: str
    path: Path
    url: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class PreparedPhoto:
    """A stored photo; or, if it can't be used, the reason instead of `data`.

    One that was not looked at has neither.
    """

    source: FeedPhoto
    data: PhotoData | None
    reason: str = ""

    @property
    def is_refused(self) -> bool:
        """Whether the photo was found to be of no use."""
        return self.data is None and self.reason != ""


@dataclass(slots=True, eq=False, kw_only=True)
class _PhotoJob(Job[str, Outcome]):
    """A photo, by the path of its file; `undecoded` is that file if its outcome is unknown.

    The file of a photo that was `fetched` is removed when it is done.
    """

    source: FeedPhoto
    undecoded: PhotoFile | None = None
    fetched: bool = False


def prepare_photos(
    photos: Iterable[FeedPhoto],
    store: PhotoStore | None,
    ledger: Ledger | None,
    *,
    max_bytes: int,
    processes: int,
    remote: RemotePhotos | None = None,
) -> Generator[PreparedPhoto]:
    """Prepare photos in parallel and yield them in their order. Memory stays bounded.

    Photos at URLs are fetched by `remote`; without it they are not looked at, and have neither data
    nor a reason. Without a store nothing is written. Photos in the ledger are not decoded again
    while the store has them, and new outcomes are recorded there. An unusable photo has a reason
    and is no error. Raises Unavailable when the store can't be used, and SetupError when the ledger
    can't or processes can't be started.
    """
    keep = partial(keep_photo, store=store, max_bytes=max_bytes)
    jobs = _jobs(photos, _Known(store, ledger, remote), max_bytes)
    # Closed, so that the processes end when this generator is closed.
    with closing(run_in_order(keep, jobs, processes, when_killed=DECODER_CRASHED)) as done:
        for job, outcome in done:
            if job.undecoded is not None and store is not None and ledger is not None:
                ledger.record(job.undecoded, outcome)
            if job.fetched:
                Path(job.task).unlink(missing_ok=True)
            yield _prepared(job.source, outcome)


@dataclass(frozen=True, slots=True)
class _Known:
    """Where photos and their outcomes are known from."""

    store: PhotoStore | None
    ledger: Ledger | None
    remote: RemotePhotos | None

    def outcomes(self, files: Iterable[PhotoFile]) -> dict[PhotoFile, Outcome]:
        """The recorded outcomes that are still valid: the store may have lost a photo."""
        if self.ledger is None:
            return {}
        found = self.ledger.lookup(
            file for file in files if not (is_at_url(file) and self.remote and self.remote.again)
        )
        return {file: outcome for file, outcome in found.items() if self._holds(outcome)}

    def _holds(self, outcome: Outcome) -> bool:
        return isinstance(outcome, Refused) or self.store is None or self.store.has(outcome.sha256)


def _jobs(photos: Iterable[FeedPhoto], known: _Known, max_bytes: int) -> Iterator[_PhotoJob]:
    """The photos as jobs, with their outcome where it is known without decoding."""
    lookup = PhotoLookup(max_bytes)
    for batch in chunks(photos, LOOKUP_BATCH):
        found = [
            _by_url(photo.url) if photo.url is not None else lookup.find(photo.path)
            for photo in batch
        ]
        outcomes = known.outcomes(file for file in found if isinstance(file, PhotoFile))
        # By URL, the last photo of the batch that is at it: the others are done before.
        wanted = {
            photo.url: photo
            for photo, file in zip(batch, found, strict=True)
            if photo.url is not None and file not in outcomes
        }
        fetched = known.remote.fetch(list(wanted), max_bytes) if known.remote and wanted else {}
        for photo, file in zip(batch, found, strict=True):
            if isinstance(file, Refused):
                yield _PhotoJob(task="", source=photo, result=file)
            elif outcome := outcomes.get(file):
                yield _PhotoJob(task=file.path, source=photo, result=outcome)
            elif photo.url is None:
                yield _PhotoJob(task=file.path, source=photo, undecoded=file)
            else:
                at = fetched.get(photo.url, NOT_LOOKED_AT)
                yield _remote_job(photo, file, at, is_last=photo is wanted[photo.url])


def is_at_url(file: PhotoFile) -> bool:
    """Whether the ledger knows this photo by its URL: other paths are absolute."""
    return not file.path.startswith("/")


def _by_url(url: str) -> PhotoFile:
    """A photo at a URL, as the ledger knows it: one that is there is not fetched again."""
    return PhotoFile(url, 0, 0)


def _remote_job(
    photo: FeedPhoto, file: PhotoFile, fetched: Path | Refused, *, is_last: bool
) -> _PhotoJob:
    if isinstance(fetched, Refused):
        return _PhotoJob(task="", source=photo, result=fetched)
    return _PhotoJob(task=str(fetched), source=photo, undecoded=file, fetched=is_last)


def _prepared(source: FeedPhoto, outcome: Outcome) -> PreparedPhoto:
    if isinstance(outcome, Refused):
        return PreparedPhoto(source, None, outcome.reason)
    data = PhotoData(outcome.sha256, outcome.width, outcome.height, outcome.incomplete)
    return PreparedPhoto(source, data)
