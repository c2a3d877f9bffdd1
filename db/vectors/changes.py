"""The change feed: numbered in commit order, so that a reader never skips a change.

A sequence alone does not do that on PostgreSQL: a lower number can commit after a higher one was
read, and a reader that remembers the highest number it saw would never look back.
"""

from collections.abc import Iterable

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from db.statements import is_postgresql
from db.tables import Change

# Any constant works; it only must not be used for another purpose in the same database.
NUMBERING_LOCK = 0x4D4C_4348


# Where a session keeps the photos of its changes until it commits.
_PENDING = "changed_photos"


def record_changes(session: Session, photo_ids: Iterable[int]) -> None:
    """Ask the index to look at these photos again, once this transaction has committed."""
    session.info.setdefault(_PENDING, set()).update(photo_ids)


def number_changes(session: Session) -> None:
    """Write what was recorded. The transaction's boundary calls it, as its last statement.

    On PostgreSQL the numbering is held by an advisory lock until this transaction ends, so that
    numbers become visible in order; taken any earlier, the lock would be held while the transaction
    waits for others, which may wait for the lock. On SQLite there is only one writer anyway.
    """
    rows = [{"photo_id": photo_id} for photo_id in sorted(session.info.pop(_PENDING, ()))]
    if not rows:
        return
    if is_postgresql(session):
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": NUMBERING_LOCK})
    session.execute(insert(Change), rows)


def last_change(session: Session) -> int:
    """The newest committed change number, 0 when there is none."""
    return session.scalar(select(func.max(Change.number))) or 0


def changes_after(session: Session, number: int, limit: int) -> tuple[int, list[int]]:
    """The next `limit` changes after `number`: the last number among them, and their photos."""
    rows = session.execute(
        select(Change.number, Change.photo_id)
        .where(Change.number > number)
        .order_by(Change.number)
        .limit(limit)
    ).all()
    if not rows:
        return number, []
    return rows[-1].number, sorted({row.photo_id for row in rows})
