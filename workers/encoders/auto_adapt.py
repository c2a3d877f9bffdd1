"""Automatic adaptation: when there is enough to learn from, and again with half as much more."""

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
from models.domain.job_payloads import AdaptPayload
from models.domain.job_results import AdaptResult
from models.domain.types import JobStatus, JobType

log = logging.getLogger(__name__)

MIN_PHOTOS: Final = 300
"""Photos in the index under which nothing is tried."""
GROWTH: Final = 1.5
"""By how much the index must have grown since the last try."""
BUSY_JOBS: Final = 10
"""Open embed jobs from which on a feed is being taken in, which should end first."""
BACKOFF_AFTER_FAILURE: Final = timedelta(hours=1)


def adapt_if_due(
    database: Database, *, clock: Callable[[], datetime], new_id: Callable[[], UUID]
) -> Job | None:
    """Accept an adapt job if the index has grown enough since the last one.

    None if not, while a feed is being taken in or an index is being built, while another one is
    open, and for an hour after one failed.
    """
    with database.read() as session:
        active = active_encoder(session)
        live = None if active is None else generations.live(session, active.id)
        if live is None or (live.rows or 0) < MIN_PHOTOS:
            return None
        last = jobs.newest(session, JobType.ADAPT)
        if last is not None and not _may_follow(last, live.rows or 0, clock()):
            return None
        if generations.open_reindex(session) or jobs.count_open(session, JobType.EMBED) > BUSY_JOBS:
            return None
    with database.write() as session:
        job = jobs.accept(session, AdaptPayload(), job_id=new_id(), now=clock())
    log.info("an adaptation to the catalogue is due")
    return job


def _may_follow(last: Job, photos: int, now: datetime) -> bool:
    if not last.status.terminal:
        return False
    if last.status is JobStatus.SUCCEEDED and last.result is not None:
        return photos >= GROWTH * AdaptResult.model_validate(last.result).photos
    return last.finished_at is None or last.finished_at + BACKOFF_AFTER_FAILURE < now
