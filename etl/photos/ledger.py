"""A cache of photo files' outcomes, so that no file is decoded twice."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from etl.photos.photo_files import Kept, Outcome, PhotoFile, Refused
from models.domain.errors import SetupError
from models.photo_decoding import STANDARD_FORM

_SCHEMA = """
-- What releases before wrote, without `incomplete`; its outcomes are of another standard form.
DROP TABLE IF EXISTS files;
CREATE TABLE IF NOT EXISTS outcomes (
    path BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    form TEXT NOT NULL,
    sha256 TEXT,
    width INTEGER,
    height INTEGER,
    incomplete INTEGER,
    reason TEXT
) WITHOUT ROWID
"""
_LOOKUP = """
SELECT sha256, width, height, incomplete, reason FROM outcomes
WHERE path = ? AND size = ? AND mtime_ns = ? AND form = ?
"""
_RECORD = "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Ledger:
    """An SQLite file of the outcomes of photo files; a context manager.

    An outcome is valid for the same path, size, modification time and standard form. If entries
    are lost, photos are decoded again, so the file is not flushed at each entry, and may be deleted
    while no run has it open.
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
            connection.executescript(_SCHEMA)
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
        """The recorded outcomes of those of the files that have not changed."""
        found: dict[PhotoFile, Outcome] = {}
        with self._explained():
            for file in files:
                row = self._connection.execute(_LOOKUP, _key(file)).fetchone()
                if row is not None:
                    found[file] = _outcome(*row)
        return found

    def record(self, file: PhotoFile, outcome: Outcome) -> None:
        """Record a file's outcome, unless it is a refusal that may be temporary."""
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
    # A path need not be valid text.
    return os.fsencode(file.path), file.size, file.mtime_ns, STANDARD_FORM


def _columns(
    outcome: Outcome,
) -> tuple[str | None, int | None, int | None, bool | None, str | None]:
    if isinstance(outcome, Kept):
        return outcome.sha256, outcome.width, outcome.height, outcome.incomplete, None
    return None, None, None, None, outcome.reason


def _outcome(
    sha256: str | None,
    width: int | None,
    height: int | None,
    incomplete: int | None,
    reason: str | None,
) -> Outcome:
    if sha256 is None or width is None or height is None:
        return Refused(reason or "", lasting=True)
    return Kept(sha256, width, height, bool(incomplete))
