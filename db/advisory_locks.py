"""Locks of PostgreSQL that transactions take to come one after the other."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.statements import is_postgresql

HELD_IDLE_FOR_S: Final = 15
"""A transaction that holds such a lock is rolled back when it sends nothing for so long: its
process is frozen, or its machine is gone, and all others wait. Healthy ones send something every
few milliseconds."""

_LIMIT: Final = "idle_in_transaction_session_timeout"
_BOUNDED: Final = f"SELECT set_config('{_LIMIT}', '{HELD_IDLE_FOR_S}s', true)"
_LOCK: Final = text(f"{_BOUNDED}, pg_advisory_xact_lock(:key)")
_LOCK_SHARED: Final = text(f"{_BOUNDED}, pg_advisory_xact_lock_shared(:key)")


def hold_lock(session: Session, key: int, *, shared: bool = False) -> bool:
    """Wait for a lock, and hold it until the transaction ends; others may hold it too if `shared`.

    False on SQLite, which has a single writer anyway and no such locks.
    """
    if not is_postgresql(session):
        return False
    session.execute(_LOCK_SHARED if shared else _LOCK, {"key": key})
    return True
