"""Copy a feed from a source into a local folder: resumable, verified, several files at once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import NoReturn

from etl.fetch.archives import Limits, contents, members
from etl.fetch.checksum_files import MAX_SUMS_BYTES, SUMS_FILE, parse_sums
from etl.fetch.download_folder import DownloadFolder, PartialFile
from etl.fetch.feed_files import FeedFile, feed_files, is_hidden, safe_name
from etl.fetch.remote.local import LocalRemote
from etl.fetch.remote.remote import BLOCK_BYTES, Remote
from etl.fetch.source_url import is_archive, is_table, scheme_of, table_name
from models.domain.errors import InvalidFeed, SetupError, Unavailable
from models.domain.urls import redact

# Concurrent files: the time of a small file is nearly all latency.
AT_ONCE = 16

# Seconds before each retry of a file that made no progress.
WAITS = (0.5, 1, 2, 4)

ARCHIVE_FILE = ".archive"

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch did, or would do: the files found, copied and unchanged, and the bytes read.

    An archive that was not yet copied counts as one file in a dry run.
    """

    found: int
    fetched: int
    unchanged: int
    bytes: int


def fetch(url: str, folder: Path, *, dry_run: bool, on_progress: OnProgress) -> Fetched:
    """Copy the feed at a URL or a path into a folder, which is made when it is not there.

    `url` names a folder, a zip, a tar, which may be compressed with gzip, bzip2 or xz, or one table
    by its suffix: a path, `file://`, `s3://`, `sftp://` or `http(s)://`. Credentials come from the
    environment, the ssh agent and the user's own files, never from the URL. Files that were copied
    and have not changed at the source are skipped, and partial ones are resumed unless the source
    has changed. Lengths are verified, MD5 where the source states it, and SHA-256 where the feed
    has a SHA256SUMS; a SHA256SUMS of all files is written to the folder. Files that are no longer
    at the source are kept.

    `on_progress` is called with bytes done and bytes in total, from any thread; an archive counts
    twice, for the copy and the extraction. A dry run writes nothing.

    Raises InvalidFeed for what does not exist, is no feed or fails verification; Unavailable when
    the source can't be reached; SetupError for problems with credentials, the host's key or the
    local folder; Conflict when another fetch into the folder is running. No error shows a secret.
    """
    remote = open_remote(url)
    _check_apart(remote, folder)
    if is_archive(url):
        copy = _fetch_archive
    elif is_table(url):
        copy = partial(_fetch_table, name=table_name(url))
    else:
        copy = _fetch_folder
    try:
        with DownloadFolder(folder, read_only=dry_run) as target:
            return copy(remote, target, dry_run=dry_run, on_progress=on_progress)
    except OSError as error:
        raise SetupError(f"{folder} can't be written: {error.strerror or error}.") from error


def open_remote(url: str) -> Remote:
    """The source at a URL or a path, not yet connected. Raises InvalidFeed."""
    # Protocol libraries are slow to import: only the one in use is imported.
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
    remote: Remote, target: DownloadFolder, *, dry_run: bool, on_progress: OnProgress
) -> Fetched:
    files = feed_files(remote.files(), remote.shown)
    files, sums = _split_sums(files, remote.shown, partial(remote.blocks, offset=0))
    todo = _missing(files, target, sums)
    planned = sum(file.size - target.resumable_bytes(file) for file in todo)
    if not dry_run:
        transfer = _Transfer(target, remote.shown, sums, _Progress(on_progress, todo, target))
        transfer.run(partial(transfer.copy, remote), todo)
        target.finish(files)
    return Fetched(len(files), len(todo), len(files) - len(todo), planned)


def _fetch_table(
    remote: Remote, target: DownloadFolder, *, name: str, dry_run: bool, on_progress: OnProgress
) -> Fetched:
    file = remote.file(safe_name(name, remote.shown))
    todo = _missing([file], target, {})
    planned = sum(file.size - target.resumable_bytes(file) for file in todo)
    if not dry_run:
        _download(remote, file, target, on_progress)
        target.finish([file])
    return Fetched(1, len(todo), 1 - len(todo), planned)


def _fetch_archive(
    remote: Remote, target: DownloadFolder, *, dry_run: bool, on_progress: OnProgress
) -> Fetched:
    archive = remote.file(ARCHIVE_FILE)
    if count := target.unpacked(archive):
        if not dry_run:
            target.remove(archive)
        return Fetched(count, 0, count, 0)
    read = 0 if target.sha256(archive) else archive.size - target.resumable_bytes(archive)
    if dry_run:
        return Fetched(1, 1, 0, read)
    if isinstance(remote, LocalRemote):
        path = Path(remote.root)
    else:
        path = target.path(archive)
        _download(remote, archive, target, on_progress)
    try:
        files, copied = _unpack(path, archive, remote.shown, target, on_progress)
    except InvalidFeed:
        target.remove(archive)
        raise
    target.finish(files, archive)
    target.remove(archive)
    return Fetched(len(files), copied, len(files) - copied, read)


def _download(
    remote: Remote, file: FeedFile, target: DownloadFolder, on_progress: OnProgress
) -> None:
    todo = _missing([file], target, {})
    transfer = _Transfer(target, remote.shown, {}, _Progress(on_progress, todo, target))
    transfer.run(partial(transfer.copy, remote), todo)


def _unpack(
    path: Path, archive: FeedFile, source: str, target: DownloadFolder, on_progress: OnProgress
) -> tuple[list[FeedFile], int]:
    """Extract the archive; returns its files, and how many of them were not there yet."""
    files = feed_files(members(path, source, archive.version, Limits()), source)

    def content(file: FeedFile) -> Iterator[bytes]:
        for _, blocks in contents(path, source, [file]):
            yield from blocks

    files, sums = _split_sums(files, source, content)
    todo = _missing(files, target, sums)
    transfer = _Transfer(target, source, sums, _Progress(on_progress, todo, target))
    for file, blocks in contents(path, source, todo):
        with target.part(file) as part:
            transfer.fill(file, part, _after(blocks, part.size))
        transfer.accept(file, part)
    return files, len(todo)


def _split_sums(
    files: list[FeedFile], source: str, content: Callable[[FeedFile], Iterable[bytes]]
) -> tuple[list[FeedFile], dict[str, str]]:
    """The files except SHA256SUMS, and its parsed content."""
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


def _missing(files: list[FeedFile], target: DownloadFolder, sums: dict[str, str]) -> list[FeedFile]:
    """The files that are not complete in the target, or not with the expected SHA-256."""
    missing = []
    for file in files:
        digest = target.sha256(file)
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

    def __init__(
        self, on_progress: OnProgress, files: list[FeedFile], target: DownloadFolder
    ) -> None:
        self._on_progress = on_progress
        self._total = sum(file.size for file in files)
        self._done = sum(target.resumable_bytes(file) for file in files)
        self._lock = Lock()

    def add(self, count: int) -> None:
        with self._lock:
            # Bytes that are read again must not count twice.
            self._done = min(self._done + count, self._total)
            self._on_progress(self._done, self._total)


class _Transfer:
    """Copies files into the folder, each verified before it gets its name."""

    def __init__(
        self, target: DownloadFolder, source: str, sums: dict[str, str], progress: _Progress
    ) -> None:
        self._target = target
        self._source = source
        self._sums = sums
        self._progress = progress
        self._stopped = Event()
        self._cause: BaseException | None = None

    def run(self, work: Callable[[FeedFile], None], files: list[FeedFile]) -> None:
        """Process the files concurrently; the first failure stops all, and is raised."""
        queue = deque(files)

        def take() -> None:
            while not self._stopped.is_set():
                try:
                    file = queue.popleft()
                except IndexError:
                    return
                try:
                    work(file)
                except BaseException as error:
                    # The others then break off as well: their errors say nothing.
                    self._cause = self._cause or error
                    # Here and not in the thread that waits for all: it may be the last to run.
                    self._stopped.set()
                    raise

        with ThreadPoolExecutor(AT_ONCE) as pool:
            workers = [pool.submit(take) for _ in range(min(AT_ONCE, len(files)))]
            try:
                wait(workers, return_when=FIRST_EXCEPTION)
            finally:
                # Leaving the pool joins the others, which stop at their next block.
                self._stopped.set()
        if self._cause is not None:
            raise self._cause

    def copy(self, remote: Remote, file: FeedFile) -> None:
        """Copy a file of the source."""
        with self._target.part(file) as part:
            self._fill_with_retries(remote, file, part)
        # Several reads may have mixed two versions of the file.
        if (part.continued or file.size > BLOCK_BYTES) and not self._is_unchanged(remote, file):
            self._target.discard(file)
            raise Unavailable(
                f"{file.name} of {self._source} changed while it was read: fetch it once more."
            )
        if not remote.confirm_md5(file, part.md5.hexdigest()):
            self._refuse(file, "its MD5 is not the one that the source knows")
        self.accept(file, part)

    def fill(self, file: FeedFile, part: PartialFile, blocks: Iterator[bytes]) -> None:
        """Append blocks to the partial file. Raises Unavailable when they end too early."""
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

    def accept(self, file: FeedFile, part: PartialFile) -> None:
        """Verify a complete partial file and rename it. If it is damaged, removes it and raises
        InvalidFeed."""
        digest = part.sha256.hexdigest()
        if part.size > file.size:
            self._refuse(file, f"it is longer than its {file.size:,} bytes")
        if self._sums.get(file.name, digest) != digest:
            self._refuse(file, f"its SHA-256 is not the one in {SUMS_FILE}")
        self._target.commit(file, digest)

    def _fill_with_retries(self, remote: Remote, file: FeedFile, part: PartialFile) -> None:
        failures = 0
        while part.size < file.size:
            before = part.size
            try:
                # Closed at once: where it is collected, another event loop may be running.
                with closing(remote.blocks(file, part.size)) as blocks:
                    self.fill(file, part, blocks)
            except Unavailable:
                failures = 0 if part.size > before else failures + 1
                if failures > len(WAITS) or self._stopped.wait(WAITS[max(failures - 1, 0)]):
                    raise
                if file.version:
                    part.mark_continued()
                else:
                    part.restart()

    def _is_unchanged(self, remote: Remote, file: FeedFile) -> bool:
        """Whether it is still as it was listed; asked again where the connection breaks."""
        for pause in WAITS:
            try:
                return remote.is_unchanged(file)
            except Unavailable:
                if self._stopped.wait(pause):
                    raise
        return remote.is_unchanged(file)

    def _refuse(self, file: FeedFile, reason: str) -> NoReturn:
        self._target.discard(file)
        raise InvalidFeed(f"{file.name} of {self._source} is damaged: {reason}.")
