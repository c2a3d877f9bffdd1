"""Photos at URLs, fetched by several threads into files, a batch at a time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from shutil import rmtree
from types import TracebackType
from typing import Final, Protocol, Self

from etl.photos.photo_files import Refused
from models.domain.errors import InvalidInput, Unavailable

THREADS: Final = 16
"""Photos fetched at once: they wait for other machines most of the time."""

NOT_LOOKED_AT: Final = Refused("")
"""Of a photo at a URL in a run that fetches none."""

NOT_ALLOWED: Final = Refused(
    "The photo is named by a URL, and MARKETLENS_PHOTO_URLS says that none is fetched."
)


class FetchesPhotos(Protocol):
    """Reads what is at a URL."""

    def fetch(self, url: str, max_bytes: int) -> bytes:
        """The bytes. Raises InvalidInput or Unavailable with the reason."""


class RemotePhotos:
    """Fetches photos into a folder of its own; a context manager, which removes the folder.

    Without `urls` every photo is refused. With `again`, photos that the ledger knows are fetched
    nevertheless.
    """

    def __init__(self, urls: FetchesPhotos | None, folder: Path, *, again: bool = False) -> None:
        self.again = again
        self._urls = urls
        self._folder = folder
        self._stack = ExitStack()
        self._count = 0

    def __enter__(self) -> Self:
        rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._stack.callback(rmtree, self._folder, ignore_errors=True)
        self._threads = self._stack.enter_context(ThreadPoolExecutor(THREADS, "photos"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._stack.close()

    def fetch(self, urls: Sequence[str], max_bytes: int) -> dict[str, Path | Refused]:
        """The photos at these URLs, each in a file of its own; or why there is none.

        No refusal is lasting: another time there may be a photo.
        """
        if self._urls is None:
            return dict.fromkeys(urls, NOT_ALLOWED)
        fetch = partial(self._fetch, self._urls, max_bytes)
        files = [self._folder / str(self._count + number) for number in range(len(urls))]
        self._count += len(urls)
        return dict(zip(urls, self._threads.map(fetch, urls, files), strict=True))

    def _fetch(self, urls: FetchesPhotos, max_bytes: int, url: str, file: Path) -> Path | Refused:
        try:
            file.write_bytes(urls.fetch(url, max_bytes))
        except (InvalidInput, Unavailable) as error:
            return Refused(str(error))
        return file
