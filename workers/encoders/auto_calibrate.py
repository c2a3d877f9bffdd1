"""Automatic calibration of match labels: for each encoder that becomes the active one, and again
when the catalogue has grown by half."""

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
from db.vectors.embeddings import count_live
from db.vectors.encoders import active_encoder
from models.domain.job_payloads import CalibratePayload
from models.domain.job_results.encoders import CalibrateResult
from models.domain.types import JobStatus, JobType
from models.matching.labels import stored_calibration
from workers.encoders.auto_adapt import is_taking_in

log = logging.getLogger(__name__)

MIN_PHOTOS: Final = 200
"""Photos under which nothing is tried: there are no more listings than photos that matter."""
GROWTH: Final = 1.5
"""By how much the catalogue must have grown since the last try: labels depend on its density."""
BACKOFF_AFTER_FAILURE: Final = timedelta(hours=1)


def calibrate_if_due(
    database: Database, *, clock: Callable[[], datetime], new_id: Callable[[], UUID]
) -> Job | None:
    """Accept a calibrate job if the active encoder has no match labels, or for fewer photos.

    None if not, while a feed is being taken in, an index is built or an encoder adapted, while
    another one is open, and for an hour after one failed.
    """
    with database.read() as session:
        active = active_encoder(session)
        if active is None:
            return None
        photos = _photos(session, active)
        if photos < max(MIN_PHOTOS, GROWTH * _tried_with(session, active)):
            return None
        if _may_not_begin(session, clock()):
            return None
    with database.write() as session:
        job = accepting.accept(session, CalibratePayload(), job_id=new_id(), now=clock())
    log.info("match labels are due to be calibrated")
    return job


def _photos(session: Session, active: Encoder) -> int:
    live = generations.live(session, active.id)
    return count_live(session, active.id) if live is None else live.rows or 0


def _tried_with(session: Session, active: Encoder) -> int:
    """How many photos there were when the encoder was calibrated, or that was refused; else 0."""
    calibration = stored_calibration(active.matching)
    tried = 0 if calibration is None else calibration.photos
    last = reading.newest(session, JobType.CALIBRATE)
    if last is None or last.status is not JobStatus.SUCCEEDED or last.result is None:
        return tried
    result = CalibrateResult.model_validate(last.result)
    return max(tried, result.photos) if result.encoder == active.spec.label else tried


def _may_not_begin(session: Session, now: datetime) -> bool:
    return (
        _stands_in_the_way(reading.newest(session, JobType.CALIBRATE), now)
        or generations.open_reindex(session) is not None
        or counting.count_open(session, JobType.ADAPT) > 0
        or is_taking_in(session, now)
    )


def _stands_in_the_way(last: Job | None, now: datetime) -> bool:
    """Whether the last one is open, or has failed of late."""
    if last is None or last.status is JobStatus.SUCCEEDED:
        return False
    return last.finished_at is None or last.finished_at + BACKOFF_AFTER_FAILURE >= now
