"""Jobs are stored, and published after that transaction has committed."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.jobs.transitions import end
from db.statements import table_of
from db.tables import Job
from models.domain.errors import ReindexRunning
from models.domain.job_payloads import BatchPayload, JobPayload, StoredJson
from models.domain.job_results.embeddings import BatchResult
from models.domain.types import JobStatus, JobType
from observability import context

# The accepting process publishes right after its commit, and does not record that it has, which
# would cost a second write for each job: the relay publishes what is still unclaimed after this.
PUBLISH_GRACE = timedelta(seconds=5)
# Statements that every query needs are built once, and of the table: building one for the mapped
# class takes longer than the database takes to execute it.
_TABLE = table_of(Job)
_NOTHING_YET = dict.fromkeys(("done", "failed", "attempt", "attempts_before", "published"), 0)
_INSERT = insert(_TABLE)


def accept(
    session: Session,
    payload: JobPayload,
    *,
    job_id: UUID,
    now: datetime,
    total: int = 0,
    parent_id: UUID | None = None,
    made_by: str | None = None,
) -> Job:
    """Store a new job. It is published after this transaction has committed.

    `made_by` is the name of the key that has asked for it, if one has. The job that is returned
    belongs to no session. Raises ReindexRunning for a reindex while another one is open.
    """
    stored = payload.to_json()
    row = {
        "id": job_id,
        "type": payload.job_type,
        "status": JobStatus.QUEUED,
        "payload": stored,
        "user_key": _key_of_user(stored),
        "request_id": context.request_id(),
        "trace": context.trace(),
        "parent_id": parent_id,
        "made_by": made_by,
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


def _key_of_user(payload: StoredJson) -> bytes | None:
    """The key of the user that a payload names."""
    user = payload.get("user")
    return bytes.fromhex(user) if isinstance(user, str) else None


def accept_batch(
    session: Session,
    result: BatchResult,
    *,
    job_id: UUID,
    now: datetime,
    total: int,
    made_by: str | None = None,
) -> Job:
    """Store the parent of embed jobs; it ends with the last of them, at once when there are none.

    `result` states from the start which rows were accepted and which were not.
    """
    job = Job(
        id=job_id,
        type=JobType.BATCH,
        status=JobStatus.QUEUED,
        payload=BatchPayload().to_json(),
        made_by=made_by,
        result=result.to_json(),
        total=total,
        request_id=context.request_id(),
        trace=context.trace(),
        created_at=now,
        publish_after=now,
    )
    if not total:
        end(job, JobStatus.FAILED, now)
        job.error_code = "no_rows"
        job.error_detail = "None of the rows could be taken; the result says why."
    session.add(job)
    session.flush()
    return job
