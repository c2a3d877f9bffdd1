"""Jobs as they are stored, and those that are due."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session, defer

from db.statements import chunks
from db.tables import Job
from models.domain.errors import NotFound
from models.domain.job_results.base import JobResult
from models.domain.job_results.parse import parse_result
from models.domain.types import OPEN_STATUSES, JobStatus, JobType

NO_SUCH_JOB: Final = "There is no such job."


def get(session: Session, job_id: UUID) -> Job:
    """The job, as it is now in the database. Raises NotFound."""
    job = session.get(Job, job_id, populate_existing=True)
    if job is None:
        raise NotFound(NO_SUCH_JOB)
    return job


def among(session: Session, job_ids: Sequence[UUID]) -> dict[UUID, Job]:
    """Those of the jobs that there are, by id."""
    return {
        job.id: job
        for chunk in chunks(job_ids)
        for job in session.scalars(select(Job).where(Job.id.in_(chunk)))
    }


def result_of(job: Job) -> JobResult | None:
    """The typed result of the job, if it has one.

    Raises UnreadableRecord where another release stored what this one can't read.
    """
    return None if job.result is None else parse_result(job.type, job.result)


def recent(
    session: Session,
    limit: int,
    before: tuple[datetime, UUID] | None,
    *,
    made_by: str | None = None,
    with_contents: bool = True,
) -> Sequence[Job]:
    """Jobs, newest first: all, or those that keys of this name have made.

    `before` is the creation time and id of the last one already seen. Without contents, payloads
    and results are not read: they may take megabytes each.
    """
    statement = select(Job).order_by(Job.created_at.desc(), Job.id.desc()).limit(limit)
    if made_by is not None:
        statement = statement.where(Job.made_by == made_by)
    if before is not None:
        created_at, job_id = before
        statement = statement.where(
            or_(Job.created_at < created_at, and_(Job.created_at == created_at, Job.id < job_id))
        )
    if not with_contents:
        unread = (Job.payload, Job.result)
        statement = statement.options(*(defer(column, raiseload=True) for column in unread))
    return session.scalars(statement).all()


def newest(session: Session, job_type: JobType) -> Job | None:
    """The job of this type that was accepted last."""
    return session.scalar(
        select(Job)
        # All of them: the index is by status first.
        .where(Job.status.in_(list(JobStatus)), Job.type == job_type)
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(1)
    )


def due_among(session: Session, job_ids: Sequence[UUID], now: datetime) -> list[UUID]:
    """Those of the jobs that are open and not waiting for a later attempt, oldest first."""
    return [
        job_id
        for chunk in chunks(job_ids)
        for job_id in session.scalars(
            select(Job.id)
            .where(
                Job.id.in_(chunk),
                Job.status.in_(OPEN_STATUSES),
                or_(Job.attempt == 0, Job.publish_after <= now),
            )
            .order_by(Job.created_at, Job.id)
        )
    ]


def ended_among(session: Session, job_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the jobs that have ended."""
    return [
        job_id
        for chunk in chunks(job_ids)
        for job_id in session.scalars(
            select(Job.id).where(Job.id.in_(chunk), Job.status.not_in(OPEN_STATUSES))
        )
    ]


def due_of(session: Session, job_types: Collection[JobType], now: datetime) -> Sequence[UUID]:
    """The queued jobs of these types that are not waiting for a later attempt, oldest first."""
    return session.scalars(
        select(Job.id)
        .where(
            Job.status == JobStatus.QUEUED,
            Job.type.in_(job_types),
            or_(Job.attempt == 0, Job.publish_after <= now),
        )
        .order_by(Job.created_at, Job.id)
    ).all()
