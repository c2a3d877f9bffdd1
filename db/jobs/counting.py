"""How many jobs there are, and how far they are."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from db.statements import chunks
from db.tables import Job
from models.domain.types import ENDED_STATUSES, OPEN_STATUSES, JobStatus, JobType


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of jobs: `total`, `done` and `failed` count their items, such as photos.

    `open_jobs` have not ended; `unsuccessful_jobs` have failed or were cancelled.
    """

    total: int = 0
    done: int = 0
    failed: int = 0
    open_jobs: int = 0
    unsuccessful_jobs: int = 0

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(
            self.total + other.total,
            self.done + other.done,
            self.failed + other.failed,
            self.open_jobs + other.open_jobs,
            self.unsuccessful_jobs + other.unsuccessful_jobs,
        )


class Load(NamedTuple):
    """How many jobs are open, and how many were accepted in a while."""

    open: int
    accepted: int


def progress_of(session: Session, job_ids: Sequence[UUID]) -> Progress:
    """The summed progress of these jobs."""
    total = Progress()
    for chunk in chunks(job_ids):
        row = session.execute(
            select(
                func.coalesce(func.sum(Job.total), 0),
                func.coalesce(func.sum(Job.done), 0),
                func.coalesce(func.sum(Job.failed), 0),
                func.count(case((Job.status.in_(OPEN_STATUSES), 1))),
                func.count(case((Job.status.in_((JobStatus.FAILED, JobStatus.CANCELLED)), 1))),
            ).where(Job.id.in_(chunk))
        ).one()
        total += Progress(*map(int, row))
    return total


def load_of(
    session: Session, job_types: Collection[JobType], since: datetime, until: datetime
) -> Load:
    """Of the jobs of these types accepted until then: how many are open, how many came since.

    One statement: with two, a job that is committed between them would count in one of them only.
    """
    is_open, is_new = Job.status.in_(OPEN_STATUSES), Job.created_at > since
    counted = (
        select(func.count().filter(is_open), func.count().filter(is_new))
        .select_from(Job)
        .where(Job.type.in_(job_types), Job.created_at <= until, is_open | is_new)
    )
    return Load(*session.execute(counted).one())


def count_ahead(session: Session, job: Job, job_types: Collection[JobType]) -> int:
    """How many open jobs of these types were accepted before this one, with itself."""
    return _count(
        session,
        Job.status.in_(OPEN_STATUSES),
        Job.type.in_(job_types),
        Job.created_at <= job.created_at,
    )


def count_open(session: Session, job_type: JobType) -> int:
    """How many jobs of this type are queued or running."""
    return _count(session, Job.status.in_(OPEN_STATUSES), Job.type == job_type)


def count_ended(session: Session, job_type: JobType, since: datetime) -> int:
    """How many jobs of this type have ended since, of those accepted in the hour before."""
    return _count(
        session,
        # In the order of the index.
        Job.status.in_(ENDED_STATUSES),
        Job.type == job_type,
        Job.created_at > since - timedelta(hours=1),
        Job.finished_at > since,
    )


def _count(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.scalars(select(func.count()).select_from(Job).where(*conditions)).one()


class OpenJobs(NamedTuple):
    """Jobs of one type and status that have not ended, and when the oldest was accepted."""

    type: JobType
    status: JobStatus
    number: int
    oldest: datetime


def open_jobs(session: Session) -> list[OpenJobs]:
    """The jobs that have not ended, by type and status; each a range of one index."""
    rows = session.execute(
        select(Job.type, Job.status, func.count(), func.min(Job.created_at))
        .where(Job.status.in_(OPEN_STATUSES))
        .group_by(Job.type, Job.status)
    )
    return [OpenJobs(*row) for row in rows]
