"""What was deleted leaves the file of a SQLite database, too."""

from time import monotonic
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.statements import is_postgresql
from workers.retention.steps import Pace

PAGES_AT_ONCE: Final = 200
"""Of the index of words that one transaction rewrites."""
_MERGED: Final = 2
_MERGE: Final = "INSERT INTO listing_words (listing_words, rank) VALUES ('merge', :pages)"


def is_clean(pace: Pace, *, clean: bool) -> bool:
    """Leave nothing of what was deleted in the file, unless it is not to be cleaned now.

    Whether nothing is left.

    SQLite overwrites what it deletes (`db.session`). But its index of words keeps deleted ones
    until it is merged, and the write-ahead log the pages as they were until it is emptied.
    PostgreSQL does both by itself, in its own time.
    """
    with pace.database.read() as session:
        if is_postgresql(session):
            return True
    if not clean:
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
    return _empty_log(pace)


def _merge(session: Session, pages: int) -> bool:
    """Merge so many pages; whether there was something to merge."""
    before = session.scalar(text("SELECT total_changes()")) or 0
    session.execute(text(_MERGE), {"pages": pages})
    changed = (session.scalar(text("SELECT total_changes()")) or 0) - before
    # https://www.sqlite.org/fts5.html#the_merge_command
    return bool(changed >= _MERGED)


def _empty_log(pace: Pace) -> bool:
    """Write the log to the file and truncate it; False while somebody reads what it has."""
    with pace.database.engine.connect() as connection:
        # Outside of a transaction, which SQLAlchemy begins by itself.
        raw = connection.connection.driver_connection
        if raw is None:
            return False
        busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def rewrite_file(pace: Pace) -> None:
    """Write a SQLite file anew, as small as it can be; others can't write meanwhile."""
    with pace.database.read() as session:
        if is_postgresql(session):
            return
    with pace.database.engine.connect() as connection:
        raw = connection.connection.driver_connection
        if raw is not None:
            raw.execute("VACUUM")
    _empty_log(pace)
