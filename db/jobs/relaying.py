"""Jobs whose message may be lost, and jobs whose worker may be dead, as the relay asks for them."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import case, exists, select, update
from sqlalchemy.orm import Session

from db.jobs.transitions import advance_parent, end, requeue
from db.tables import Job
from models.domain.types import JobStatus, JobType

# A job that nobody claimed is published again after this long, then after twice as long, ...
REPUBLISH_FIRST = timedelta(seconds=15)
REPUBLISH_DOUBLINGS = 5


def mark_published(session: Session, job_ids: Sequence[UUID], now: datetime) -> None:
    """Record that messages for these jobs were published, and when to publish them again."""
    doublings = case(
        (Job.published > REPUBLISH_DOUBLINGS, REPUBLISH_DOUBLINGS), else_=Job.published
    )
    rows = session.execute(select(Job.id, doublings).where(Job.id.in_(job_ids))).all()
    for job_id, exponent in rows:
        session.execute(
            update(Job)
            .where(Job.id == job_id)
            .values(published=Job.published + 1, publish_after=now + REPUBLISH_FIRST * 2**exponent)
        )


def due_for_publishing(session: Session, now: datetime, limit: int) -> Sequence[Job]:
    """Queued jobs that are due to be published: not yet, or so long ago that it may be lost."""
    return session.scalars(
        select(Job)
        .where(Job.status == JobStatus.QUEUED, Job.publish_after <= now, Job.type != JobType.BATCH)
        .order_by(Job.publish_after)
        .limit(limit)
    ).all()


def any_expired(session: Session, now: datetime) -> bool:
    """Whether the lease of some running job has expired."""
    expired = exists().where(Job.status == JobStatus.RUNNING, Job.lease_expires_at < now)
    return bool(session.scalar(select(expired)))


def owners(session: Session) -> set[str]:
    """The processes that run jobs."""
    running = select(Job.owner).where(Job.status == JobStatus.RUNNING, Job.owner.is_not(None))
    return {owner for owner in session.scalars(running.distinct()) if owner is not None}


def end_leases(session: Session, dead: Collection[str], now: datetime) -> int:
    """End the leases of jobs that these processes run; how many. They can be claimed at once."""
    ended = session.execute(
        update(Job)
        .where(Job.status == JobStatus.RUNNING, Job.owner.in_(dead), Job.lease_expires_at > now)
        .values(lease_expires_at=now)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    ).all()
    return len(ended)


def release_expired(session: Session, now: datetime, max_attempts: int) -> int:
    """Requeue the jobs whose lease has expired, or fail them after `max_attempts`.

    Returns how many jobs were changed.
    """
    expired = session.scalars(
        select(Job)
        .where(Job.status == JobStatus.RUNNING, Job.lease_expires_at < now)
        .with_for_update(skip_locked=True)
    ).all()
    for job in expired:
        tries = job.attempt - job.attempts_before
        if tries >= max_attempts:
            end(job, JobStatus.FAILED, now)
            job.error_code = "attempts_exhausted"
            job.error_detail = f"Given up after {tries} attempts; the last one never finished."
            advance_parent(session, job.parent_id, now)
        else:
            requeue(job, now)
    return len(expired)
