"""A lock for the writers of an index that several workers share."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from filelock import FileLock, Timeout
from sqlalchemy import text
from sqlalchemy.orm import Session

from db.session import Database
from models.domain.errors import Unavailable

# An arbitrary constant, which must not be used for another purpose in the same database.
WRITER_LOCK: Final = 0x4D4C_5455
MAX_WAIT_S = 30.0


@contextmanager
def writer_lock(database: Database, encoder_id: int) -> Generator[Session]:
    """Hold the lock of this encoder's index; gives a read transaction that began under it.

    The transaction sees at least what every earlier holder saw. The lock ends with its process:
    on PostgreSQL it is an advisory lock of the transaction, on SQLite, whose users are on one
    machine, a locked file beside the database. Raises Unavailable after `MAX_WAIT_S`.
    """
    if database.engine.dialect.name == "postgresql":
        with database.read() as session:
            _wait_in_postgresql(session, encoder_id)
            yield session
    else:
        path = f"{database.engine.url.database}.encoder-{encoder_id}.lock"
        try:
            with FileLock(path, timeout=MAX_WAIT_S), database.read() as session:
                yield session
        except Timeout as error:
            raise Unavailable("Another worker is busy updating the shared index.") from error


def _wait_in_postgresql(session: Session, encoder_id: int) -> None:
    session.execute(text(f"SET LOCAL lock_timeout = {round(MAX_WAIT_S * 1000)}"))
    # Meanwhile it is the index that is written, for as long as that takes.
    session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    session.execute(
        text("SELECT pg_advisory_xact_lock(:key, :encoder_id)"),
        {"key": WRITER_LOCK, "encoder_id": encoder_id},
    )
