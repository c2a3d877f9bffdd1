"""Accepts, reads, cancels and retries jobs.

Each function commits before it returns, so that no response is sent for what is not stored;
ids are published after the commit.
"""

from collections.abc import Sequence
from http import HTTPStatus
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from api.auth import Credentials, authorise
from api.deps import Resources
from api.pagination import Position
from db.access.audit_log import record_entry
from db.idempotency import Answer
from db.jobs import accepting, cancelling, counting, reading
from db.tables import Job
from models.domain.errors import NotFound
from models.domain.job_payloads import JobPayload
from models.domain.types import AuditSource, JobType, Scope
from workers.queue.messages import QUERIES

ADMIN_JOBS = frozenset({JobType.REINDEX, JobType.DUPLICATES, JobType.ADAPT, JobType.CALIBRATE})


def accept_and_publish(resources: Resources, payload: JobPayload, total: int = 0) -> Job:
    """Store a job and publish its id; `total` is its photos.

    Raises ReindexRunning, and IdempotencyInFlight if the request has lost its key.
    """

    def accept(session: Session) -> Job:
        job = accepting.accept(
            session,
            payload,
            job_id=uuid4(),
            now=resources.now(),
            total=total,
            made_by=resources.caller.name,
        )
        resources.record(session, Answer(HTTPStatus.ACCEPTED, job_id=job.id))
        return job

    return resources.accepted.write(accept, in_one_statement=resources.claim is None)


def list_jobs(resources: Resources, limit: int, after: Position | None) -> Sequence[Job]:
    """At most `limit` jobs of the caller, newest first, from the one after this position on.

    Without their payloads and results.
    """
    with resources.database.read() as session:
        return reading.recent(
            session, limit, after, made_by=resources.caller.listed_for, with_contents=False
        )


def read_job(resources: Resources, job_id: UUID) -> Job:
    """A job of any type that the caller may see. Raises NotFound."""
    with resources.database.read() as session:
        return _seen(resources, session, job_id)


def read_job_of_type(resources: Resources, job_id: UUID, job_type: JobType) -> Job:
    """A job of this type. Raises NotFound."""
    job = read_job(resources, job_id)
    if job.type is not job_type:
        raise NotFound(f"There is no such {job_type}.")
    return job


def expected_wait_s(resources: Resources, job: Job) -> float | None:
    """The seconds after which a query is expected to end; None if it has, or nothing is known."""
    if job.status.terminal:
        return None
    with resources.database.read() as session:
        ahead = counting.count_ahead(session, job, QUERIES)
    return resources.backlog.wait_s(ahead)


def cancel_job(resources: Resources, job_id: UUID, credentials: Credentials) -> Job:
    """Cancel a job of any type; one that has ended stays as it is.

    Raises NotFound, and Unauthenticated or Forbidden where the job is an admin's.
    """
    with resources.database.write() as session:
        seen = _seen(resources, session, job_id)
        _check_key_for(resources, session, seen, credentials, "cancel")
        return cancelling.cancel(session, job_id, resources.now())


def cancel_job_of_type(resources: Resources, job_id: UUID, job_type: JobType) -> Job:
    """Cancel a job of this type; one that has ended stays as it is. Raises NotFound."""
    read_job_of_type(resources, job_id, job_type)
    with resources.database.write() as session:
        return cancelling.cancel(session, job_id, resources.now())


def retry_job(resources: Resources, job_id: UUID, credentials: Credentials) -> Job:
    """Queue a failed or cancelled job again.

    Raises NotFound, Conflict, and Unauthenticated or Forbidden where the job is an admin's.
    """
    with resources.database.write() as session:
        seen = _seen(resources, session, job_id)
        _check_key_for(resources, session, seen, credentials, "retry")
        job = cancelling.retry(session, job_id, resources.now())
    resources.publisher.publish([job])
    return job


def _seen(resources: Resources, session: Session, job_id: UUID) -> Job:
    """The job. Raises NotFound for one of another key as for one that is not there."""
    job = reading.get(session, job_id)
    if not resources.caller.may_see(job.made_by):
        raise NotFound(reading.NO_SUCH_JOB)
    return job


def _check_key_for(
    resources: Resources, session: Session, job: Job, credentials: Credentials, what: str
) -> None:
    """Check that the caller may change this job; what is done to an admin's is recorded."""
    if job.type not in ADMIN_JOBS:
        return
    holder = authorise(resources, credentials, Scope.ADMIN)
    details = {"job_id": str(job.id), "type": job.type.value}
    action = f"POST /v1/jobs/{{job_id}}:{what}"
    record_entry(session, AuditSource.API, holder.name, action, details, resources.now())
