"""Jobs whose message may be lost, and jobs whose worker may be dead, as the relay asks for them."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from db.jobs.transitions import advance_parent, end, requeue
from db.statements import chunks
from db.tables import Job
from models.domain.types import JobStatus, JobType

LOOK_AGAIN: Final = timedelta(seconds=15)
"""How long after a job's message was published, or seen to wait, it is looked for again."""


def mark_published(
    session: Session, job_ids: Sequence[UUID], now: datetime, look_again: timedelta = LOOK_AGAIN
) -> None:
    """Record that queued jobs have a message, and after how long to look again."""
    # Locked first, and none that others have locked: in another order than theirs, two could wait
    # for each other.
    queued = (
        select(Job.id)
        .where(Job.id.in_(job_ids), Job.status == JobStatus.QUEUED)
        .with_for_update(skip_locked=True)
    )
    values = {"published": Job.published + 1, "publish_after": now + look_again}
    _update(session, session.scalars(queued).all(), values)


def publish_all_again(session: Session, now: datetime) -> int:
    """The broker has lost all messages: queued jobs that had one are due now. Returns how many."""
    had_one = (
        select(Job.id)
        .where(Job.status == JobStatus.QUEUED, Job.publish_after > now, Job.published > 0)
        .with_for_update(skip_locked=True)
    )
    job_ids = session.scalars(had_one).all()
    _update(session, job_ids, {"publish_after": now})
    return len(job_ids)


def _update(session: Session, job_ids: Sequence[UUID], values: dict[str, object]) -> None:
    for ids in chunks(job_ids):
        session.execute(
            update(Job)
            .where(Job.id.in_(ids))
            .values(values)
            .execution_options(synchronize_session=False)
        )


class DueJob(NamedTuple):
    """A queued job whose message may be lost."""

    id: UUID
    type: JobType
    attempt: int


def due_for_publishing(session: Session, now: datetime, limit: int) -> list[DueJob]:
    """Queued jobs whose message may be lost: it was never published, or not looked for lately."""
    rows = session.execute(
        select(Job.id, Job.type, Job.attempt)
        .where(Job.status == JobStatus.QUEUED, Job.publish_after <= now, Job.type != JobType.BATCH)
        .order_by(Job.publish_after)
        .limit(limit)
    )
    return [DueJob(*row) for row in rows]


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
