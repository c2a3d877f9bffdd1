"""A claim makes a worker the owner of one attempt at a job, for the time of a lease.

The broker may lose, repeat or reorder messages: the database decides who owns a job.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from math import ceil
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from db.statements import table_of
from db.tables import Job
from models.domain.job_payloads import JobPayload, StoredJson, parse_payload
from models.domain.types import JobStatus, JobType

_ClaimColumns = tuple[UUID, JobType, int, int, StoredJson, datetime, str | None, str | None]
# Statements that every query needs are built once, and of the table: building one for the mapped
# class takes longer than the database takes to execute it.
_TABLE = table_of(Job)


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's ownership of one attempt at a job.

    `attempt` is unique within a job and identifies the owner. `tries` counts the attempts since the
    job was accepted or last retried by a caller: the limit on attempts applies to them.
    `request_id` and `trace` name what it came of.
    """

    job_id: UUID
    type: JobType
    attempt: int
    tries: int
    stored_payload: StoredJson
    created_at: datetime
    request_id: str | None = None
    trace: str | None = None

    @property
    def payload(self) -> JobPayload:
        """The typed payload. Raises UnreadableRecord where another release stored it."""
        return parse_payload(self.type, self.stored_payload)


def oldest_waiting(session: Session, job_types: frozenset[JobType]) -> Job | None:
    """The queued job of these types that `claim_waiting` would claim first."""
    return session.scalar(_waiting(job_types).limit(1))


def claim(
    session: Session, job_id: UUID, now: datetime, lease: timedelta, *, owner: str | None = None
) -> Claim | None:
    """Claim the job's next attempt, for a process if it is named.

    None when the job is unknown, has ended, or is owned by an attempt whose lease has not expired.
    """
    row = session.execute(
        _claiming(now, lease, owner).where(Job.id == job_id, _claimable(now))
    ).one_or_none()
    return None if row is None else _claim_of(row)


def claim_waiting(
    session: Session,
    job_types: frozenset[JobType],
    now: datetime,
    lease: timedelta,
    *,
    limit: int,
    among: int = 1,
    owner: str | None = None,
) -> list[Claim]:
    """Claim up to `limit` queued jobs of these types, the oldest first, to do them as one batch.

    If `among` several share what waits, no more than the share of one is claimed. Only jobs that
    were never attempted: one that has crashed its worker must not fail the batch.
    """
    if not limit:
        return []
    waiting = session.scalars(
        _waiting(job_types)
        .with_only_columns(Job.id)
        .limit(among * limit)
        # Without waiting for rows that another worker has locked, against deadlocks.
        .with_for_update(skip_locked=True)
    ).all()
    if not waiting:
        return []
    share = waiting[: ceil(len(waiting) / among)]
    claimed = session.execute(
        _claiming(now, lease, owner).where(Job.id.in_(share), Job.status == JobStatus.QUEUED)
    )
    return sorted(map(_claim_of, claimed), key=lambda owned: (owned.created_at, owned.job_id))


def _claiming(
    now: datetime, lease: timedelta, owner: str | None
) -> ReturningUpdate[*_ClaimColumns]:
    return (
        update(_TABLE)
        .values(
            status=JobStatus.RUNNING,
            attempt=_TABLE.c.attempt + 1,
            lease_expires_at=now + lease,
            owner=owner,
            started_at=func.coalesce(_TABLE.c.started_at, now),
        )
        .returning(
            *(Job.id, Job.type, Job.attempt, Job.attempts_before, Job.payload, Job.created_at),
            *(Job.request_id, Job.trace),
        )
        .execution_options(synchronize_session=False)
    )


def _claim_of(row: Row[*_ClaimColumns]) -> Claim:
    tries = row.attempt - row.attempts_before
    return Claim(
        *(row.id, row.type, row.attempt, tries, row.payload, row.created_at),
        *(row.request_id, row.trace),
    )


def _claimable(now: datetime) -> ColumnElement[bool]:
    return or_(
        Job.status == JobStatus.QUEUED,
        and_(Job.status == JobStatus.RUNNING, Job.lease_expires_at < now),
    )


@cache
def _waiting(job_types: frozenset[JobType]) -> Select[Job]:
    return (
        select(Job)
        .where(Job.status == JobStatus.QUEUED, Job.type.in_(job_types), Job.attempt == 0)
        .order_by(Job.created_at, Job.id)
    )
