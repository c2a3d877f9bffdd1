"""Photos of a feed: read, brought into the standard form and stored, several at a time."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from db.listings import PhotoData
from db.photos import PhotoStore
from models.errors import InvalidInput, NotFound, TooLarge
from models.photos import standardise

Item = TypeVar("Item")
Result = TypeVar("Result")

# Photos submitted ahead of the one that is waited for, for each thread: enough that a slow photo
# or a database commit leaves no thread idle.
AHEAD = 16


@dataclass(frozen=True, slots=True)
class FeedPhoto:
    """A photo that the feed names: its row in the images table, and its file."""

    row: int
    id: UUID
    listing_id: UUID
    path: Path


@dataclass(frozen=True, slots=True)
class PreparedPhoto:
    """A photo that is stored; or, where it can't be used, the reason instead of `data`."""

    source: FeedPhoto
    data: PhotoData | None
    reason: str = ""


def prepare_photos(
    photos: Iterable[FeedPhoto], store: PhotoStore, *, max_bytes: int, threads: int
) -> Generator[PreparedPhoto]:
    """Prepare photos in parallel and yield them in their order. Memory stays bounded.

    Threads, not processes: Pillow decodes, scales and encodes outside Python's lock.
    """

    def prepare(photo: FeedPhoto) -> PreparedPhoto:
        try:
            return PreparedPhoto(photo, prepare_photo(photo.path, store, max_bytes))
        except (InvalidInput, NotFound, TooLarge) as error:
            return PreparedPhoto(photo, None, str(error))

    with ThreadPoolExecutor(threads, thread_name_prefix="photo") as pool:
        yield from _map_in_order(pool, prepare, photos, window=threads * AHEAD)


def prepare_photo(path: Path, store: PhotoStore, max_bytes: int) -> PhotoData:
    """Standardise the photo in a file and store it, durably.

    Raises NotFound, TooLarge, InvalidPhoto or UnsupportedPhoto for this photo, and Unavailable
    when the store can't be written.
    """
    photo = standardise(_read(path, max_bytes))
    store.put(photo.data)
    return PhotoData(photo.sha256, photo.width, photo.height)


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        # Opening a pipe or a device by the name of a photo could wait for ever.
        if not path.is_file():
            raise NotFound("There is no such photo file.")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise NotFound("The photo file can't be read.") from error
    if len(data) > max_bytes:
        raise TooLarge(f"The photo has more than {max_bytes:,} bytes.")
    return data


def _map_in_order(
    pool: ThreadPoolExecutor,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    window: int,
) -> Iterator[Result]:
    """`pool.map`, but it takes only `window` items ahead instead of all at once."""
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= window:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
