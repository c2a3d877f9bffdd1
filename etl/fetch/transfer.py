"""Copy a feed from wherever it lies into a local folder: resumable, verified, many at once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import NoReturn

from etl.fetch.archives import Limits, contents, members
from etl.fetch.checksum_files import MAX_SUMS_BYTES, SUMS_FILE, parse_sums
from etl.fetch.feed_files import FeedFile, feed_files, is_hidden
from etl.fetch.landing import Landing, Part
from etl.fetch.remote.local import LocalRemote
from etl.fetch.remote.remote import BLOCK_BYTES, Remote
from etl.fetch.source_url import is_archive, scheme_of
from models.domain.errors import InvalidFeed, SetupError, Unavailable
from models.domain.urls import redact

# The time of a small file is nearly all latency: so many are under way at a time.
AT_ONCE = 16

# Seconds before each new attempt at a file, as long as it brings nothing.
WAITS = (0.5, 1, 2, 4)

ARCHIVE_FILE = ".archive"

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch did, or would do: how many files the feed has, how many of them it copied, how
    many were here already, and the bytes it read from the source.

    An archive that was not yet copied counts as one file in a dry run.
    """

    found: int
    fetched: int
    unchanged: int
    bytes: int


def fetch(url: str, folder: Path, *, dry_run: bool, on_progress: OnProgress) -> Fetched:
    """Copy the feed at a URL or a path into a folder, which is made when it is not there.

    `url` names a folder, or a .zip, .tar, .tar.gz or .tgz archive: a path, `file://`, `s3://`,
    `sftp://` or `http(s)://`. Credentials come from the environment, the ssh agent and the user's
    own files, never from the URL. Files that are here and unchanged at the source are not read, and
    one that was begun goes on where it stopped, unless it changed meanwhile. Lengths are verified,
    MD5 where the source knows it, and SHA-256 where the feed has a SHA256SUMS; the folder gets a
    SHA256SUMS of all files. Files that are no longer at the source stay.

    `on_progress` is told bytes done and bytes in all, now and then from another thread; an archive
    counts twice, copied and then unpacked. A dry run writes nothing.

    Raises InvalidFeed for what is not there, is no feed or fails verification; Unavailable when the
    source can't be reached; SetupError when credentials, the host's key or the local folder are in
    the way; Conflict when another fetch is at work on the folder. No error holds a secret.
    """
    remote = open_remote(url)
    _check_apart(remote, folder)
    copy = _fetch_archive if is_archive(url) else _fetch_folder
    try:
        with Landing(folder, read_only=dry_run) as landing:
            return copy(remote, landing, dry_run=dry_run, on_progress=on_progress)
    except OSError as error:
        raise SetupError(f"{folder} can't be written: {error.strerror or error}.") from error


def open_remote(url: str) -> Remote:
    """The source at a URL or a path, not yet connected. Raises InvalidFeed."""
    # Each protocol's library takes its time to import: only the one in use is.
    match scheme_of(url):
        case "file":
            return LocalRemote(url)
        case "s3":
            from etl.fetch.remote.s3 import S3Remote  # noqa: PLC0415

            return S3Remote(url)
        case "sftp":
            from etl.fetch.remote.sftp import SftpRemote  # noqa: PLC0415

            return SftpRemote(url)
        case "http" | "https":
            from etl.fetch.remote.http import HttpRemote  # noqa: PLC0415

            return HttpRemote(url)
        case scheme:
            raise InvalidFeed(
                f"{redact(url)} can't be fetched: {scheme} is none of file, s3, sftp, http, https."
            )


def _check_apart(remote: Remote, folder: Path) -> None:
    if isinstance(remote, LocalRemote):
        source, target = Path(remote.root), folder.resolve()
        if source == target or source in target.parents:
            raise InvalidFeed(f"{folder} lies in the feed that it should be copied from.")


def _fetch_folder(
    remote: Remote, landing: Landing, *, dry_run: bool, on_progress: OnProgress
) -> Fetched:
    files = feed_files(remote.files(), remote.shown)
    files, sums = _split_sums(files, remote.shown, partial(remote.blocks, offset=0))
    todo = _missing(files, landing, sums)
    planned = sum(file.size - landing.waiting(file) for file in todo)
    if not dry_run:
        transfer = _Transfer(landing, remote.shown, sums, _Progress(on_progress, todo, landing))
        transfer.run(partial(transfer.copy, remote), todo)
        landing.finish(files)
    return Fetched(len(files), len(todo), len(files) - len(todo), planned)


def _fetch_archive(
    remote: Remote, landing: Landing, *, dry_run: bool, on_progress: OnProgress
) -> Fetched:
    archive = remote.archive(ARCHIVE_FILE)
    if count := landing.unpacked(archive):
        if not dry_run:
            landing.remove(archive)
        return Fetched(count, 0, count, 0)
    read = 0 if landing.sha256(archive) else archive.size - landing.waiting(archive)
    if dry_run:
        return Fetched(1, 1, 0, read)
    if isinstance(remote, LocalRemote):
        path = Path(remote.root)
    else:
        path = landing.path(archive)
        _download(remote, archive, landing, on_progress)
    try:
        files, copied = _unpack(path, archive, remote.shown, landing, on_progress)
    except InvalidFeed:
        landing.remove(archive)
        raise
    landing.finish(files, archive)
    landing.remove(archive)
    return Fetched(len(files), copied, len(files) - copied, read)


def _download(remote: Remote, archive: FeedFile, landing: Landing, on_progress: OnProgress) -> None:
    todo = _missing([archive], landing, {})
    transfer = _Transfer(landing, remote.shown, {}, _Progress(on_progress, todo, landing))
    transfer.run(partial(transfer.copy, remote), todo)


def _unpack(
    path: Path, archive: FeedFile, source: str, landing: Landing, on_progress: OnProgress
) -> tuple[list[FeedFile], int]:
    """The archive's files, all here by then, and how many of them had to be copied."""
    files = feed_files(members(path, source, archive.version, Limits()), source)

    def content(file: FeedFile) -> Iterator[bytes]:
        for _, blocks in contents(path, source, [file]):
            yield from blocks

    files, sums = _split_sums(files, source, content)
    todo = _missing(files, landing, sums)
    transfer = _Transfer(landing, source, sums, _Progress(on_progress, todo, landing))
    for file, blocks in contents(path, source, todo):
        with landing.part(file) as part:
            transfer.fill(file, part, _after(blocks, part.size))
        transfer.accept(file, part)
    return files, len(todo)


def _split_sums(
    files: list[FeedFile], source: str, content: Callable[[FeedFile], Iterable[bytes]]
) -> tuple[list[FeedFile], dict[str, str]]:
    """The files but SHA256SUMS, and the sums that it holds."""
    sums_file = next((file for file in files if file.name == SUMS_FILE), None)
    if sums_file is None:
        return files, {}
    if sums_file.size > MAX_SUMS_BYTES:
        raise InvalidFeed(f"{SUMS_FILE} of {source} is too long.")
    sums = parse_sums(b"".join(content(sums_file)), source)
    names = {file.name for file in files}
    for name in sums.keys() - names:
        if not is_hidden(name):
            raise InvalidFeed(f"{SUMS_FILE} of {source} lists {name!a:.200}, which is not there.")
    return [file for file in files if file is not sums_file], sums


def _missing(files: list[FeedFile], landing: Landing, sums: dict[str, str]) -> list[FeedFile]:
    """Those that are not here, whole and as the sums want them."""
    missing = []
    for file in files:
        digest = landing.sha256(file)
        if not digest or sums.get(file.name, digest) != digest:
            missing.append(file)
    return missing


def _after(blocks: Iterator[bytes], offset: int) -> Iterator[bytes]:
    for block in blocks:
        if len(block) > offset:
            yield block[offset:]
        offset = max(0, offset - len(block))


class _Progress:
    """Counts the bytes of these files, from any thread."""

    def __init__(self, tell: OnProgress, files: list[FeedFile], landing: Landing) -> None:
        self._tell = tell
        self._total = sum(file.size for file in files)
        self._done = sum(landing.waiting(file) for file in files)
        self._lock = Lock()

    def add(self, count: int) -> None:
        with self._lock:
            # What had to be read again is no progress.
            self._done = min(self._done + count, self._total)
            self._tell(self._done, self._total)


class _Transfer:
    """Copies files into the landing, each verified before it gets its name."""

    def __init__(
        self, landing: Landing, source: str, sums: dict[str, str], progress: _Progress
    ) -> None:
        self._landing = landing
        self._source = source
        self._sums = sums
        self._progress = progress
        self._stopped = Event()

    def run(self, work: Callable[[FeedFile], None], files: list[FeedFile]) -> None:
        """Do this work on each file, several at a time; the first failure ends all."""
        queue = deque(files)

        def take() -> None:
            while not self._stopped.is_set():
                try:
                    file = queue.popleft()
                except IndexError:
                    return
                work(file)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            workers = [pool.submit(take) for _ in range(min(AT_ONCE, len(files)))]
            try:
                for worker in as_completed(workers):
                    worker.result()
            finally:
                # Leaving the pool waits for the others, which a single block may keep busy.
                self._stopped.set()

    def copy(self, remote: Remote, file: FeedFile) -> None:
        """Copy a file of the source."""
        with self._landing.part(file) as part:
            self._fill_patiently(remote, file, part)
        # What came in pieces could be of two versions.
        if (part.continued or file.size > BLOCK_BYTES) and not remote.is_unchanged(file):
            self._landing.discard(file)
            raise Unavailable(
                f"{file.name} of {self._source} changed while it was read: fetch it once more."
            )
        if not remote.confirm_md5(file, part.md5.hexdigest()):
            self._refuse(file, "its MD5 is not the one that the source knows")
        self.accept(file, part)

    def fill(self, file: FeedFile, part: Part, blocks: Iterator[bytes]) -> None:
        """Complete the file's part. Raises Unavailable when the blocks end too early."""
        for block in blocks:
            if self._stopped.is_set():
                raise Unavailable("The fetch was stopped.")
            part.write(block)
            self._progress.add(len(block))
            if part.size > file.size:
                return
        if part.size < file.size:
            raise Unavailable(
                f"{file.name} of {self._source} broke off at {part.size:,} of {file.size:,} bytes."
            )

    def accept(self, file: FeedFile, part: Part) -> None:
        """Verify a filled part and give it its name. Raises InvalidFeed, and the part is gone."""
        digest = part.sha256.hexdigest()
        if part.size > file.size:
            self._refuse(file, f"it is longer than its {file.size:,} bytes")
        if self._sums.get(file.name, digest) != digest:
            self._refuse(file, f"its SHA-256 is not the one in {SUMS_FILE}")
        self._landing.keep(file, digest)

    def _fill_patiently(self, remote: Remote, file: FeedFile, part: Part) -> None:
        failures = 0
        while part.size < file.size:
            before = part.size
            try:
                self.fill(file, part, remote.blocks(file, part.size))
            except Unavailable:
                failures = 0 if part.size > before else failures + 1
                if failures > len(WAITS) or self._stopped.wait(WAITS[max(failures - 1, 0)]):
                    raise
                if file.version:
                    part.go_on()
                else:
                    part.start_over()

    def _refuse(self, file: FeedFile, reason: str) -> NoReturn:
        self._landing.discard(file)
        raise InvalidFeed(f"{file.name} of {self._source} is damaged: {reason}.")
