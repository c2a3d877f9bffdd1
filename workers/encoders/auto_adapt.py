"""Automatic adaptation: when there is enough to learn from, and again with half as much more."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from db.jobs import accepting, counting, reading
from db.session import Database
from db.tables import Encoder, Job
from db.vectors import generations
from db.vectors.encoders import active_encoder, followed_encoders, retire_encoder
from models.domain.errors import Conflict
from models.domain.job_payloads import AdaptPayload
from models.domain.job_results.encoders import AdaptResult
from models.domain.types import EncoderStatus, JobStatus, JobType

log = logging.getLogger(__name__)

MIN_PHOTOS: Final = 300
"""Photos in the index under which nothing is tried."""
GROWTH: Final = 1.5
"""By how much the index must have grown since the last try."""
BUSY_JOBS: Final = 10
"""Embed jobs from which on a feed is being taken in, which should end first."""
QUIET_FOR: Final = timedelta(seconds=15)
"""For how long so many must have ended: an index of them is then asked for, which would wait."""
BACKOFF_AFTER_FAILURE: Final = timedelta(hours=1)
REPLACED_KEPT_FOR: Final = timedelta(days=1)
"""For how long a rollback to the float32 network takes a second; each photo is embedded twice."""


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
        last = reading.newest(session, JobType.ADAPT)
        if last is not None and not _may_follow(last, live.rows or 0, clock()):
            return None
        if generations.open_reindex(session) or is_taking_in(session, clock()):
            return None
    with database.write() as session:
        job = accepting.accept(session, AdaptPayload(), job_id=new_id(), now=clock())
    log.info("an adaptation to the catalogue is due")
    return job


def is_taking_in(session: Session, now: datetime) -> bool:
    """Whether a feed is being taken in: photos are, or have just been, embedded."""
    lately = counting.count_ended(session, JobType.EMBED, now - QUIET_FOR)
    return counting.count_open(session, JobType.EMBED) + lately > BUSY_JOBS


def retire_replaced(database: Database, now: datetime) -> list[str]:
    """Retire what an int8 network has replaced a day before, unless it is active again: labels.

    Indexes of it are kept until they are pruned.
    """
    with database.read() as session:
        last = reading.newest(session, JobType.ADAPT)
        replaced = set() if last is None else _replaced_before(last, now - REPLACED_KEPT_FOR)
        if not replaced or not _followed(session, replaced):
            return []
    try:
        with database.write() as session:
            rows = _followed(session, replaced)
            for row in rows:
                retire_encoder(session, row.id)
            labels = [row.spec.label for row in rows]
    except Conflict as error:  # an index of it is being built: another time
        log.info("%s", error)
        return []
    log.info("no more photos are embedded by %s, which int8 has replaced", ", ".join(labels))
    return labels


def _replaced_before(job: Job, moment: datetime) -> set[str]:
    if job.result is None or job.finished_at is None or job.finished_at > moment:
        return set()
    return {*AdaptResult.model_validate(job.result).replaced}


def _followed(session: Session, labels: set[str]) -> list[Encoder]:
    return [
        row
        for row in followed_encoders(session)
        if row.status is EncoderStatus.FOLLOWED and row.spec.label in labels
    ]


def _may_follow(last: Job, photos: int, now: datetime) -> bool:
    if not last.status.terminal:
        return False
    if last.status is JobStatus.SUCCEEDED and last.result is not None:
        return photos >= GROWTH * AdaptResult.model_validate(last.result).photos
    return last.finished_at is None or last.finished_at + BACKOFF_AFTER_FAILURE < now
