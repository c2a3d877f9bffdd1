"""Jobs are cancelled, and tried again, when a caller asks for it."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.jobs.transitions import advance_parent, end, locked, requeue
from db.tables import Job
from models.domain.errors import Conflict, ReindexRunning
from models.domain.types import OPEN_STATUSES, JobStatus, JobType

ONE_BY_ONE: Final = "one_by_one"
"""Where the payload of an embed job has which photos attempts have ended with."""


def cancel(session: Session, job_id: UUID, now: datetime) -> Job:
    """End an open job without a result; a job that has ended stays as it is."""
    # Locked in the order in which a finishing child locks: the other order could deadlock.
    children = session.scalars(_open_children(job_id)).all()
    job = locked(session, job_id)
    if job.status in OPEN_STATUSES:
        end(job, JobStatus.CANCELLED, now)
        for child in children:
            end(child, JobStatus.CANCELLED, now)
        advance_parent(session, job.parent_id, now)
    return job


def retry(session: Session, job_id: UUID, now: datetime) -> Job:
    """Queue a failed or cancelled job again. Raises Conflict in any other state."""
    job = locked(session, job_id)
    if job.status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
        raise Conflict(f"A job that is {job.status} can't be retried.")
    if job.type is JobType.BATCH:
        raise Conflict("A batch can't be retried as a whole: retry its embed jobs.")
    # `attempt` is never reset: it identifies the owner, and must not repeat.
    job.attempts_before = job.attempt
    job.done = job.failed = 0
    # Whatever was wrong with a photo may be mended.
    job.payload = {name: value for name, value in job.payload.items() if name != ONE_BY_ONE}
    job.error_code = job.error_detail = job.finished_at = job.started_at = None
    requeue(job, now)
    try:
        session.flush()
    except IntegrityError as error:
        raise ReindexRunning("A reindex is already queued or running.") from error
    if job.parent_id is not None:
        _reopen(locked(session, job.parent_id))
    return job


def _reopen(parent: Job) -> None:
    """Reopen a batch whose child is retried, so that it ends again with that child."""
    parent.status = JobStatus.RUNNING
    parent.failed = 0
    parent.error_code = parent.error_detail = parent.finished_at = None


def _open_children(job_id: UUID) -> Select[Job]:
    return (
        select(Job).where(Job.parent_id == job_id, Job.status.in_(OPEN_STATUSES)).with_for_update()
    )
