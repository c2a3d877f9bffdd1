"""What was deleted leaves the file of a SQLite database, too."""

from pathlib import Path
from time import monotonic
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.statements import is_postgresql
from workers.retention.steps import Pace

PAGES_AT_ONCE: Final = 200
"""Of the index of words that one transaction rewrites."""
REWRITTEN_UP_TO: Final = 100_000_000
"""Bytes of a file that is written anew by itself: others wait for two seconds to write on a machine
that is busy, which is less than they have the patience for."""
_MERGED: Final = 2
_MERGE: Final = "INSERT INTO listing_words (listing_words, rank) VALUES ('merge', :pages)"


def is_clean(pace: Pace, *, clean: bool, rewrite: bool = False) -> bool:
    """Leave nothing of what was deleted in the file, unless it is not to be cleaned now.

    Whether nothing is left. SQLite overwrites what it deletes (`db.session`), but for copies in the
    gaps of pages whose rows it has moved: only to write the file anew clears these, which is done
    where it is small, or with `rewrite`. Its index of words keeps deleted ones until it is merged,
    and the write-ahead log pages as they were until it is emptied. PostgreSQL does all that by
    itself, in its own time.
    """
    with pace.database.read() as session:
        if is_postgresql(session):
            return True
    if not clean or not (rewrite or _size(pace) <= REWRITTEN_UP_TO):
        return False
    # The first one says that all of it is to be merged, the others go on.
    pages = -PAGES_AT_ONCE
    while not pace.stop.is_set():
        began = monotonic()
        with pace.database.write() as session:
            merged = _merge(session, pages)
        if not merged:
            break
        pages = PAGES_AT_ONCE
        pace.rest(began)
    return rewrite_file(pace)


def rewrite_file(pace: Pace) -> bool:
    """Write a SQLite file anew, as small as it can be; others can't write meanwhile.

    Whether also the log could be emptied; True on PostgreSQL, where nothing is done.
    """
    with pace.database.read() as session:
        if is_postgresql(session):
            return True
    with pace.database.engine.connect() as connection:
        # Outside of a transaction, which SQLAlchemy begins by itself.
        raw = connection.connection.driver_connection
        if raw is None:
            return False
        raw.execute("VACUUM")
        busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def _size(pace: Pace) -> int:
    file = pace.database.engine.url.database
    return Path(file).stat().st_size if file else 0


def _merge(session: Session, pages: int) -> bool:
    """Merge so many pages; whether there was something to merge."""
    before = session.scalar(text("SELECT total_changes()")) or 0
    session.execute(text(_MERGE), {"pages": pages})
    changed = (session.scalar(text("SELECT total_changes()")) or 0) - before
    # https://www.sqlite.org/fts5.html#the_merge_command
    return bool(changed >= _MERGED)
