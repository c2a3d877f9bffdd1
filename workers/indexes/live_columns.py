"""The columns of one search worker, kept in step with the database."""

import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from filelock import FileLock
from sqlalchemy.orm import Session

from db.catalogue.columns import columns_of, most_listings, with_changes
from db.deployment import deployment_id
from db.retention.removed import ChangesMissed
from db.session import Database
from db.vectors.changes import changed_listing
from models.columns.columns import Columns
from models.columns.segment import Segment
from models.columns.snapshot import Origin, SnapshotUnusable, load_columns, save_columns
from models.domain.durable_files import make_folder

log = logging.getLogger(__name__)

FILE_FROM: Final = 50_000
"""Listings from which on columns are kept in a file: fewer are read from the database at once."""
WRITE_AGAIN_FROM: Final = 0.2
"""The share of listings that have changed since, at which the file is written again."""


WRITING_TAKES_S: Final = 300.0
"""At most: so long a process waits for another that reads the listings and writes the file."""


class LiveColumns:
    """The columns of all listings, with every change committed since applied on top.

    `begin` has them read in a thread; until then `sync` gives none. From `file_from` listings on
    they are in `file`, for all processes of the machine. For several threads.
    """

    def __init__(
        self, database: Database, file: Path | None = None, file_from: int = FILE_FROM
    ) -> None:
        self._database = database
        self._file = file
        self._file_from = file_from
        self._columns: Columns | None = None
        # What was read at once: from the file, if there is one.
        self._base: tuple[Segment, ...] = ()
        self._lock = Lock()
        self._reader = ThreadPoolExecutor(1, "read-columns")
        self._reading: Future[Columns] | None = None
        self._writes = True

    def begin(self) -> None:
        """Have the columns read, unless they are."""
        with self._lock:
            self._begin()

    def wait(self) -> None:
        """Wait until they are read. Raises what has kept them from it."""
        with self._lock:
            reading = self._begin()
        if reading is not None:
            reading.result()

    def sync(self, session: Session) -> Columns | None:
        """The columns with all that `session` sees; None before they are read."""
        with self._lock:
            self._take_over()
            if self._columns is None:
                return None
            try:
                self._columns = with_changes(session, self._columns)
            except ChangesMissed:
                # After a long sleep: what has changed meanwhile is not told any more.
                self._columns = None
                self._begin()
                return None
            self._write_again(self._columns)
            return self._columns

    def close(self) -> None:
        """Stop the thread."""
        self._reader.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> Future[Columns] | None:
        self._take_over()
        if self._columns is None and self._reading is None:
            self._reading = self._reader.submit(self._read)
        return self._reading if self._columns is None else None

    def _take_over(self) -> None:
        """Take what the thread has read or written; after an error, another try is made later."""
        if self._reading is None or not self._reading.done():
            return
        reading, self._reading = self._reading, None
        error = reading.exception()
        if error is None:
            self._columns = reading.result()
            log.info("columns of %s listings", self._columns.listings)
        elif self._columns is None:
            log.error("the listings' columns can't be read, trying again later: %s", error)
        else:
            # What is held is right. It is in this process' own memory.
            self._writes = False
            log.error("the listings' columns can't be written: %s", error)

    def _read(self) -> Columns:
        with self._database.read() as session:
            many = most_listings(session) >= self._file_from
        if self._file is None or not many:
            return self._based_on(self._of_database()[0])
        try:
            with _only_writer(self._file):
                columns = self._of_file(self._file) or self._filed(self._file)
            self._based_on(columns)
            # What has changed since it was written is read here, not by the first search.
            try:
                with self._database.read() as session:
                    return with_changes(session, columns)
            except ChangesMissed:
                return self._based_on(self._of_database()[0])
        except (OSError, SnapshotUnusable) as error:
            log.warning("the listings' columns can't be kept in a file: %s", error)
            return self._based_on(self._of_database()[0])

    def _based_on(self, columns: Columns) -> Columns:
        self._base = columns.segments
        return columns

    def _filed(self, file: Path) -> Columns:
        """All listings, from a file that is written for it."""
        columns, origin = self._of_database()
        if not columns.listings:
            return columns
        save_columns(file, columns, origin)
        return load_columns(file)[0]

    def _of_file(self, file: Path) -> Columns | None:
        """What is in the file, None if that can't be used."""
        try:
            columns, origin = load_columns(file)
        except SnapshotUnusable as error:
            log.info("the listings are read from the database: %s: %s", file, error)
            return None
        with self._database.read() as session:
            if origin != _origin(session, columns.last_change):
                log.info("%s is of another database, or another state of this one", file)
                return None
        return columns

    def _of_database(self) -> tuple[Columns, Origin]:
        with self._database.read() as session:
            columns = columns_of(session)
            return columns, _origin(session, columns.last_change)

    def _write_again(self, columns: Columns) -> None:
        """Write the file again if much has changed; until then all that is this process' own."""
        own = sum(
            segment.rows
            for segment in columns.segments
            if not any(segment.numbers is based.numbers for based in self._base)
        )
        due = own >= max(self._file_from, WRITE_AGAIN_FROM * columns.listings)
        if due and self._file is not None and self._writes and self._reading is None:
            self._reading = self._reader.submit(self._written, self._file, columns.last_change)

    def _written(self, file: Path, last_change: int) -> Columns:
        with _only_writer(file):
            there = self._of_file(file)
            # Another process may have been first.
            if there is None or there.last_change < last_change:
                # Read anew: what is held still has the texts of all that was erased since.
                there = self._filed(file)
            return self._based_on(there)


@contextmanager
def _only_writer(file: Path) -> Iterator[None]:
    """Raises OSError where there can be no file, or another process takes too long."""
    make_folder(file.parent)
    with FileLock(file.with_suffix(".lock"), timeout=WRITING_TAKES_S):
        yield


def _origin(session: Session, last_change: int) -> Origin:
    return Origin(deployment_id(session), changed_listing(session, last_change))
