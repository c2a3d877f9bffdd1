"""Jobs leave, with what they were given and what they gave, when they have ended long ago."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, cast, delete, exists, func, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from db.jobs.reading import newest
from db.retention.amounts import Amount
from db.tables import Generation, Job
from models.domain.types import JobType

AT_ONCE: Final = 50
"""Jobs that one transaction deletes: results of searches are large."""


class JobPosition(NamedTuple):
    """Where a pass through the jobs in order of their creation has come to."""

    created_at: datetime
    job_id: UUID


def last_of_types(session: Session) -> frozenset[UUID]:
    """The newest job of each type: what it says is asked for before the next is accepted."""
    found = (newest(session, job_type) for job_type in JobType)
    return frozenset(job.id for job in found if job is not None)


def next_ended(
    session: Session, before: datetime, kept: frozenset[UUID], after: JobPosition | None
) -> list[JobPosition]:
    """The next jobs that ended before this time and that nothing refers to, but those `kept`.

    A child goes when its parent has ended as long ago, a parent when its children are gone.
    """
    statement = (
        select(Job.created_at, Job.id)
        .where(_is_over(before), Job.id.not_in(kept))
        .order_by(Job.created_at, Job.id)
        .limit(AT_ONCE)
    )
    if after is not None:
        statement = statement.where(tuple_(Job.created_at, Job.id) > after)
    return [JobPosition(*row) for row in session.execute(statement)]


def remove_jobs(session: Session, job_ids: Sequence[UUID], before: datetime) -> int:
    """Delete those of the jobs that are still over; returns how many.

    One that somebody has locked, as who retries it does, stays.
    """
    locked = session.scalars(
        select(Job.id).where(Job.id.in_(job_ids)).order_by(Job.id).with_for_update(skip_locked=True)
    ).all()
    # Asked again once they are locked: only now nobody changes them any more.
    over = session.scalars(select(Job.id).where(Job.id.in_(locked), _is_over(before))).all()
    deleting = delete(Job).where(Job.id.in_(over))
    session.execute(deleting.execution_options(synchronize_session=False))
    return len(over)


def ended_amount(session: Session, before: datetime, kept: frozenset[UUID]) -> Amount:
    """How many jobs are over, and the bytes of what they were given and gave."""
    size = func.length(cast(Job.payload, Text)) + func.coalesce(
        func.length(cast(Job.result, Text)), 0
    )
    row = session.execute(
        select(func.count(), func.coalesce(func.sum(size), 0)).where(
            _has_ended(before), Job.id.not_in(kept)
        )
    ).one()
    return Amount(*row)


def _has_ended(before: datetime) -> ColumnElement[bool]:
    # By the time of creation as well, which there is an index of.
    # By the time of creation as well, which there is an index of; not by status, of whose index
    # SQLite would read all ended jobs. One that is open, or open again, has no time of its end.
    return and_(Job.created_at < before, Job.finished_at < before)


def _is_over(before: datetime) -> ColumnElement[bool]:
    child, parent = aliased(Job), aliased(Job)
    return and_(
        _has_ended(before),
        ~exists().where(child.parent_id == Job.id),
        or_(
            Job.parent_id.is_(None),
            exists().where(parent.id == Job.parent_id, parent.finished_at < before),
        ),
        ~exists().where(Generation.job_id == Job.id),
    )
