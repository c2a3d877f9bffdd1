"""When the index is rebuilt by itself: once much has changed since it was built."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from db import jobs
from db.session import Database
from db.tables import Job
from db.vectors import generations
from db.vectors.encoders import active_encoder
from models.domain.errors import ReindexRunning
from models.domain.job_payloads import ReindexPayload

log = logging.getLogger(__name__)

FOLD_AT_LEAST: Final = 1_000
FOLD_SHARE: Final = 0.02
FOLD_AT_MOST: Final = 5_000
"""What has changed is searched one by one and kept in every search worker's memory.

5,000 vectors of 2,048 numbers take 3 ms to search, and 40 MB of each search worker.
"""
REST_AFTER_FAILURE: Final = timedelta(hours=1)
"""A build that failed or was cancelled is likely to again: somebody should look first."""


def should_fold(rows: int, changed: int) -> bool:
    """Whether so many photos that changed since a build of `rows` are worth another build.

    Where nothing has been built yet there are no rows, and everything has changed.
    """
    return changed > fold_above(rows)


def fold_above(rows: int) -> int:
    """How many photos may have changed since a build of `rows`."""
    return min(FOLD_AT_MOST, max(FOLD_AT_LEAST, int(FOLD_SHARE * rows)))


def fold_if_due(
    database: Database, *, clock: Callable[[], datetime], new_id: Callable[[], UUID]
) -> Job | None:
    """Accept a reindex if enough has changed since the active encoder's index was last built.

    None if not, while another is open, and for an hour after one failed. What counts is the last
    build, even if it was rolled back since: what somebody did by hand is not undone at once.
    """
    with database.read() as session:
        active = active_encoder(session)
        if active is None:
            return None
        newest = generations.newest(session, active.id)
        rows = 0 if newest is None else newest.rows or 0
        changed = generations.changed_since(session, newest, at_most=fold_above(rows) + 1)
        if not should_fold(rows, changed):
            return None
        if generations.open_reindex(session) is not None:
            return None
        if generations.reindex_failed_since(session, clock() - REST_AFTER_FAILURE):
            return None
    try:
        with database.write() as session:
            job = jobs.accept(session, ReindexPayload(), job_id=new_id(), now=clock())
    except ReindexRunning:  # somebody else has just asked for one
        return None
    log.info("more than %s photos have changed since the index was built", fold_above(rows))
    return job
