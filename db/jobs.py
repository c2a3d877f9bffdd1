"""Jobs, owned by the database: accepted, claimed with an attempt and a lease, finished once.

The broker may lose, repeat or reorder messages. A claim is what makes a worker the owner of one
attempt, and only the owner of the current attempt can finish it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from math import ceil
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from db.statements import chunks, table_of
from db.tables import Job
from models.domain.errors import Conflict, NotFound, ReindexRunning
from models.domain.job_payloads import BatchPayload, JobPayload, StoredJson, parse_payload
from models.domain.job_results import BatchResult, JobResult, parse_result
from models.domain.types import ENDED_STATUSES, OPEN_STATUSES, JobStatus, JobType

# The accepting process publishes right after its commit, and does not record that it has, which
# would cost a second write for each job: the relay publishes what is still unclaimed after this.
PUBLISH_GRACE = timedelta(seconds=5)
# A job that nobody claimed is published again after this long, then after twice as long, ...
REPUBLISH_FIRST = timedelta(seconds=15)
REPUBLISH_DOUBLINGS = 5
# Long enough that a worker that can't do a job does not claim it again before one that can.
HANDED_BACK_FOR = timedelta(seconds=10)


_ClaimColumns = tuple[UUID, JobType, int, int, StoredJson, datetime]


class ClaimLost(Exception):
    """This attempt no longer owns the job; its transaction must be rolled back."""


# Statements that every query needs are built once, and of the table: building one for the mapped
# class takes longer than the database takes to execute it.
_TABLE = table_of(Job)
_NOTHING_YET = dict.fromkeys(("done", "failed", "attempt", "attempts_before", "published"), 0)
_INSERT = insert(_TABLE)
_FINISH = (
    update(_TABLE)
    .where(
        _TABLE.c.id == bindparam("its_id"),
        _TABLE.c.attempt == bindparam("its_attempt"),
        _TABLE.c.status == JobStatus.RUNNING,
    )
    .values(
        status=JobStatus.SUCCEEDED,
        result=bindparam("its_result"),
        done=bindparam("its_done"),
        failed=bindparam("its_failed"),
        total=func.coalesce(bindparam("its_total", type_=Integer()), _TABLE.c.total),
        finished_at=bindparam("ended_at"),
        lease_expires_at=None,
    )
    .returning(_TABLE.c.parent_id)
)


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's ownership of one attempt at a job.

    `attempt` is unique within a job and identifies the owner. `tries` counts the attempts since the
    job was accepted or last retried by a caller: the limit on attempts applies to them.
    """

    job_id: UUID
    type: JobType
    attempt: int
    tries: int
    stored_payload: StoredJson
    created_at: datetime

    @property
    def payload(self) -> JobPayload:
        """The typed payload. Raises UnreadableRecord where another release stored it."""
        return parse_payload(self.type, self.stored_payload)


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


def accept(
    session: Session,
    payload: JobPayload,
    *,
    job_id: UUID,
    now: datetime,
    total: int = 0,
    parent_id: UUID | None = None,
) -> Job:
    """Store a new job. It is published after this transaction has committed.

    The job that is returned belongs to no session. Raises ReindexRunning for a reindex while
    another one is open.
    """
    row = {
        "id": job_id,
        "type": payload.job_type,
        "status": JobStatus.QUEUED,
        "payload": payload.to_json(),
        "parent_id": parent_id,
        "total": total,
        "created_at": now,
        "publish_after": now + PUBLISH_GRACE,
        **_NOTHING_YET,
    }
    try:
        session.execute(_INSERT, row)
    except IntegrityError as error:
        if payload.job_type is JobType.REINDEX:
            raise ReindexRunning("A reindex is already queued or running.") from error
        raise
    return Job(**row)


def accept_batch(
    session: Session, result: BatchResult, *, job_id: UUID, now: datetime, total: int
) -> Job:
    """Store the parent of embed jobs; it ends with the last of them, at once when there are none.

    `result` states from the start which rows were accepted and which were not.
    """
    job = Job(
        id=job_id,
        type=JobType.BATCH,
        status=JobStatus.QUEUED,
        payload=BatchPayload().to_json(),
        result=result.to_json(),
        total=total,
        created_at=now,
        publish_after=now,
    )
    if not total:
        _end(job, JobStatus.FAILED, now)
        job.error_code = "no_rows"
        job.error_detail = "None of the rows could be taken; the result says why."
    session.add(job)
    session.flush()
    return job


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
            _end(job, JobStatus.FAILED, now)
            job.error_code = "attempts_exhausted"
            job.error_detail = f"Given up after {tries} attempts; the last one never finished."
            advance_parent(session, job.parent_id, now)
        else:
            _requeue(job, now)
    return len(expired)


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
        .returning(Job.id, Job.type, Job.attempt, Job.attempts_before, Job.payload, Job.created_at)
        .execution_options(synchronize_session=False)
    )


def _claim_of(row: Row[*_ClaimColumns]) -> Claim:
    tries = row.attempt - row.attempts_before
    return Claim(row.id, row.type, row.attempt, tries, row.payload, row.created_at)


def _claimable(now: datetime) -> ColumnElement[bool]:
    return or_(
        Job.status == JobStatus.QUEUED,
        and_(Job.status == JobStatus.RUNNING, Job.lease_expires_at < now),
    )


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


@cache
def _waiting(job_types: frozenset[JobType]) -> Select[Job]:
    return (
        select(Job)
        .where(Job.status == JobStatus.QUEUED, Job.type.in_(job_types), Job.attempt == 0)
        .order_by(Job.created_at, Job.id)
    )


def heartbeat(
    session: Session, owned: Claim, now: datetime, lease: timedelta, *, done: int, total: int
) -> None:
    """Renew the lease and report progress. Raises ClaimLost when another attempt owns the job."""
    values = {"lease_expires_at": now + lease, "done": done, "total": total}
    update_owned(session, owned, values)


def finish(
    session: Session,
    owned: Claim,
    now: datetime,
    *,
    result: JobResult,
    done: int = 0,
    failed: int = 0,
    total: int | None = None,
) -> None:
    """End the job with a result, in the transaction that stores its effect.

    `total` is set where it was not known when the job was accepted.

    Raises ClaimLost when this attempt no longer owns the job; then nothing may be committed.
    """
    values = {
        "its_id": owned.job_id,
        "its_attempt": owned.attempt,
        "its_result": result.to_json(),
        "its_done": done,
        "its_failed": failed,
        "its_total": total,
        "ended_at": now,
    }
    updated = session.execute(_FINISH, values).one_or_none()
    if updated is None:
        raise ClaimLost(str(owned.job_id))
    parent_id: UUID | None = updated.parent_id
    advance_parent(session, parent_id, now)


def fail(session: Session, owned: Claim, now: datetime, *, code: str, detail: str) -> None:
    """End the job with an error that a retry would meet again."""
    parent_id = update_owned(
        session,
        owned,
        {
            "status": JobStatus.FAILED,
            "error_code": code,
            "error_detail": detail,
            "failed": Job.total,
            "finished_at": now,
            "lease_expires_at": None,
        },
    )
    advance_parent(session, parent_id, now)


def retry_later(
    session: Session, owned: Claim, now: datetime, *, max_attempts: int, reason: str
) -> None:
    """End the attempt after a transient error; the job is queued again, or fails at the limit."""
    if owned.tries >= max_attempts:
        detail = f"Given up after {owned.tries} attempts; the last one failed: {reason}"
        fail(session, owned, now, code="attempts_exhausted", detail=detail)
        return
    update_owned(
        session,
        owned,
        {
            "status": JobStatus.QUEUED,
            "lease_expires_at": None,
            "publish_after": now + timedelta(seconds=2**owned.tries),
        },
    )


def hand_back(session: Session, owned: Claim, now: datetime) -> None:
    """End the attempt without counting it as a try: this worker can't do the job, another may."""
    update_owned(
        session,
        owned,
        {
            "status": JobStatus.QUEUED,
            "lease_expires_at": None,
            "attempts_before": Job.attempts_before + 1,
            "publish_after": now + HANDED_BACK_FOR,
        },
    )


def cancel(session: Session, job_id: UUID, now: datetime) -> Job:
    """End an open job without a result; a job that has ended stays as it is."""
    # Locked in the order in which a finishing child locks: the other order could deadlock.
    children = session.scalars(_open_children(job_id)).all()
    job = _locked(session, job_id)
    if job.status in OPEN_STATUSES:
        _end(job, JobStatus.CANCELLED, now)
        for child in children:
            _end(child, JobStatus.CANCELLED, now)
        advance_parent(session, job.parent_id, now)
    return job


def retry(session: Session, job_id: UUID, now: datetime) -> Job:
    """Queue a failed or cancelled job again. Raises Conflict in any other state."""
    job = _locked(session, job_id)
    if job.status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
        raise Conflict(f"A job that is {job.status} can't be retried.")
    if job.type is JobType.BATCH:
        raise Conflict("A batch can't be retried as a whole: retry its embed jobs.")
    # `attempt` is never reset: it identifies the owner, and must not repeat.
    job.attempts_before = job.attempt
    job.done = job.failed = 0
    job.error_code = job.error_detail = job.finished_at = job.started_at = None
    _requeue(job, now)
    try:
        session.flush()
    except IntegrityError as error:
        raise ReindexRunning("A reindex is already queued or running.") from error
    if job.parent_id is not None:
        _reopen(_locked(session, job.parent_id))
    return job


def get(session: Session, job_id: UUID) -> Job:
    """The job, as it is now in the database. Raises NotFound."""
    job = session.get(Job, job_id, populate_existing=True)
    if job is None:
        raise NotFound("There is no such job.")
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


def recent(session: Session, limit: int, before: tuple[datetime, UUID] | None) -> Sequence[Job]:
    """Jobs, newest first; `before` is the creation time and id of the last one already seen."""
    statement = select(Job).order_by(Job.created_at.desc(), Job.id.desc()).limit(limit)
    if before is not None:
        created_at, job_id = before
        statement = statement.where(
            or_(Job.created_at < created_at, and_(Job.created_at == created_at, Job.id < job_id))
        )
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


class Load(NamedTuple):
    """How many jobs are open, and how many were accepted in a while."""

    open: int
    accepted: int


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


def _count(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.scalars(select(func.count()).select_from(Job).where(*conditions)).one()


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


def update_owned(session: Session, owned: Claim, values: dict[str, object]) -> UUID | None:
    """Change the job and give its parent. Raises ClaimLost, having changed nothing."""
    updated = session.execute(
        update(Job)
        .where(
            Job.id == owned.job_id,
            Job.attempt == owned.attempt,
            Job.status == JobStatus.RUNNING,
        )
        .values(values)
        .returning(Job.parent_id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if updated is None:
        raise ClaimLost(str(owned.job_id))
    parent_id: UUID | None = updated.parent_id
    return parent_id


def _locked(session: Session, job_id: UUID) -> Job:
    job = session.get(Job, job_id, with_for_update=True, populate_existing=True)
    if job is None:
        raise NotFound("There is no such job.")
    return job


def _end(job: Job, status: JobStatus, now: datetime) -> None:
    job.status = status
    job.finished_at = now
    job.lease_expires_at = None


def _requeue(job: Job, now: datetime) -> None:
    job.status = JobStatus.QUEUED
    job.lease_expires_at = None
    job.publish_after = now


def _reopen(parent: Job) -> None:
    """Reopen a batch whose child is retried, so that it ends again with that child."""
    parent.status = JobStatus.RUNNING
    parent.failed = 0
    parent.error_code = parent.error_detail = parent.finished_at = None


def _open_children(job_id: UUID) -> Select[Job]:
    return (
        select(Job).where(Job.parent_id == job_id, Job.status.in_(OPEN_STATUSES)).with_for_update()
    )


def advance_parent(session: Session, parent_id: UUID | None, now: datetime) -> None:
    """Add a child's progress to its parent, if any, and end the parent with its last child."""
    if parent_id is None:
        return
    # Locked before counting: children that end at the same time are counted one after the other.
    parent = _locked(session, parent_id)
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
    _end(parent, JobStatus.SUCCEEDED if parent.done else JobStatus.FAILED, now)
    if parent.status is JobStatus.FAILED:
        parent.error_code = "nothing_embedded"
        parent.error_detail = "None of the batch's photos could be embedded."
