"""Changes of a locked job's status, and what they mean for its parent."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from db.tables import Job
from models.domain.errors import NotFound
from models.domain.types import OPEN_STATUSES, JobStatus


def locked(session: Session, job_id: UUID) -> Job:
    """The job, locked until the transaction ends. Raises NotFound."""
    job = session.get(Job, job_id, with_for_update=True, populate_existing=True)
    if job is None:
        raise NotFound("There is no such job.")
    return job


def end(job: Job, status: JobStatus, now: datetime) -> None:
    """End a job that is locked, or new; it has no owner any more."""
    job.status = status
    job.finished_at = now
    job.lease_expires_at = None


def requeue(job: Job, now: datetime) -> None:
    """Queue a locked job again, to be published at once."""
    job.status = JobStatus.QUEUED
    job.lease_expires_at = None
    job.publish_after = now


def advance_parent(session: Session, parent_id: UUID | None, now: datetime) -> None:
    """Add a child's progress to its parent, if any, and end the parent with its last child."""
    if parent_id is None:
        return
    # Locked before counting: children that end at the same time are counted one after the other.
    parent = locked(session, parent_id)
    session.flush()
    done, still_open = session.execute(
        select(
            func.coalesce(func.sum(Job.done), 0),
            func.count(case((Job.status.in_(OPEN_STATUSES), 1))),
        ).where(Job.parent_id == parent.id)
    ).one()
    parent.done = int(done)
    if parent.status not in OPEN_STATUSES:
        return
    if still_open:
        parent.status = JobStatus.RUNNING
        parent.started_at = parent.started_at or now
        return
    parent.failed = parent.total - parent.done
    end(parent, JobStatus.SUCCEEDED if parent.done else JobStatus.FAILED, now)
    if parent.status is JobStatus.FAILED:
        parent.error_code = "nothing_embedded"
        parent.error_detail = "None of the batch's photos could be embedded."
