"""What became of each photo file, so that no run decodes what an earlier one has decoded."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from etl.photos.photo_files import Kept, Outcome, PhotoFile, Refused
from models.domain.errors import SetupError
from models.photos import STANDARD_FORM

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    form TEXT NOT NULL,
    sha256 TEXT,
    width INTEGER,
    height INTEGER,
    reason TEXT
) WITHOUT ROWID
"""
_LOOKUP = """
SELECT sha256, width, height, reason FROM files
WHERE path = ? AND size = ? AND mtime_ns = ? AND form = ?
"""
_RECORD = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


class Ledger:
    """A file that remembers the outcome of photo files as they were; open while in a `with`.

    An outcome counts for a file of the same path, size and time, and for the same standard form.
    It is a cache: without it, or without its last entries, photos are decoded once more. So it is
    not flushed to the disk at each entry, and may be deleted whenever no run has it open.
    Every method raises SetupError when the file can't be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        with self._explained(), ExitStack() as opened:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, isolation_level=None)
            opened.callback(connection.close)
            # With a write-ahead log a power cut loses the last entries, but damages nothing.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(_SCHEMA)
            self._connection, self._opened = connection, opened.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()

    def lookup(self, files: Iterable[PhotoFile]) -> dict[PhotoFile, Outcome]:
        """What became of those of the files that are known as they are now."""
        found: dict[PhotoFile, Outcome] = {}
        with self._explained():
            for file in files:
                row = self._connection.execute(_LOOKUP, _key(file)).fetchone()
                if row is not None:
                    found[file] = _outcome(*row)
        return found

    def record(self, file: PhotoFile, outcome: Outcome) -> None:
        """Remember what became of a file, unless it is a refusal that need not last."""
        if isinstance(outcome, Refused) and not outcome.lasting:
            return
        with self._explained():
            self._connection.execute(_RECORD, (*_key(file), *_columns(outcome)))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise SetupError(
                f"The ledger of photos {self._path} can't be used ({error}); "
                "it may be deleted, which only costs time."
            ) from error


def _key(file: PhotoFile) -> tuple[bytes, int, int, str]:
    # Not every path is text, but each is bytes.
    return os.fsencode(file.path), file.size, file.mtime_ns, STANDARD_FORM


def _columns(outcome: Outcome) -> tuple[str | None, int | None, int | None, str | None]:
    if isinstance(outcome, Kept):
        return outcome.sha256, outcome.width, outcome.height, None
    return None, None, None, outcome.reason


def _outcome(
    sha256: str | None, width: int | None, height: int | None, reason: str | None
) -> Outcome:
    if sha256 is None or width is None or height is None:
        return Refused(reason or "", lasting=True)
    return Kept(sha256, width, height)
