"""What the owner of an attempt does with its job; nobody else can."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Integer, bindparam, func, update
from sqlalchemy.orm import Session

from db.jobs.claiming import Claim
from db.jobs.transitions import advance_parent
from db.statements import table_of
from db.tables import Job
from models.domain.job_results.base import JobResult
from models.domain.types import JobStatus

# Long enough that a worker that can't do a job does not claim it again before one that can.
HANDED_BACK_FOR = timedelta(seconds=10)


class ClaimLost(Exception):
    """This attempt no longer owns the job; its transaction must be rolled back."""


# Statements that every query needs are built once, and of the table: building one for the mapped
# class takes longer than the database takes to execute it.
_TABLE = table_of(Job)
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


def heartbeat(
    session: Session,
    owned: Claim,
    now: datetime,
    lease: timedelta,
    *,
    done: int | None = None,
    total: int | None = None,
) -> None:
    """Renew the lease, and report progress where that is known.

    Raises ClaimLost when another attempt owns the job.
    """
    values: dict[str, object] = {"lease_expires_at": now + lease}
    values |= {
        name: count for name, count in (("done", done), ("total", total)) if count is not None
    }
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


def hand_back(
    session: Session, owned: Claim, now: datetime, *, pause: timedelta = HANDED_BACK_FOR
) -> None:
    """End the attempt without counting it as a try, and queue the job again after a pause.

    For what is no fault of the job: this worker can't do it, or something that it needs is away.
    """
    update_owned(
        session,
        owned,
        {
            "status": JobStatus.QUEUED,
            "lease_expires_at": None,
            "attempts_before": Job.attempts_before + 1,
            "publish_after": now + pause,
        },
    )


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
