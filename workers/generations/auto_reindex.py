"""Automatic reindexing: when enough photos have changed since the index was built."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from db.jobs import accepting
from db.session import Database
from db.tables import Job
from db.vectors import generations
from db.vectors.encoders import active_encoder
from models.domain.errors import ReindexRunning
from models.domain.job_payloads import ReindexPayload

log = logging.getLogger(__name__)

REINDEX_MIN_CHANGES: Final = 1_000
REINDEX_CHANGED_SHARE: Final = 0.02
REINDEX_MAX_CHANGES: Final = 5_000
"""Changed photos are searched by brute force, and kept in every search worker's memory.

5,000 vectors of 2,048 numbers take 3 ms to search, and 40 MB of each search worker.
"""
BACKOFF_AFTER_FAILURE: Final = timedelta(hours=1)
"""A build that failed or was cancelled is likely to fail again: an operator should look first."""


def needs_reindex(rows: int, changed: int) -> bool:
    """Whether `changed` photos since a build of `rows` photos justify another build.

    Before the first build `rows` is 0, and all photos have changed.
    """
    return changed > max_changes_before_reindex(rows)


def max_changes_before_reindex(rows: int) -> int:
    """How many photos may change after a build of `rows` photos before it is due for another."""
    return min(REINDEX_MAX_CHANGES, max(REINDEX_MIN_CHANGES, int(REINDEX_CHANGED_SHARE * rows)))


def reindex_if_due(
    database: Database, *, clock: Callable[[], datetime], new_id: Callable[[], UUID]
) -> Job | None:
    """Accept a reindex if enough has changed since the active encoder's index was last built.

    None if not, while another is open, and for an hour after one failed. Changes are counted from
    the last build, even if it was rolled back: a manual rollback is not undone at once.
    """
    with database.read() as session:
        active = active_encoder(session)
        if active is None:
            return None
        newest = generations.newest(session, active.id)
        rows = 0 if newest is None else newest.rows or 0
        changed = generations.changed_since(
            session, newest, at_most=max_changes_before_reindex(rows) + 1
        )
        if not needs_reindex(rows, changed):
            return None
        if generations.open_reindex(session) is not None:
            return None
        if generations.reindex_failed_since(session, clock() - BACKOFF_AFTER_FAILURE):
            return None
    try:
        with database.write() as session:
            job = accepting.accept(session, ReindexPayload(), job_id=new_id(), now=clock())
    except ReindexRunning:  # another process has just accepted one
        return None
    log.info(
        "more than %s photos have changed since the index was built",
        max_changes_before_reindex(rows),
    )
    return job
