"""Steps in the life of a job, each in a transaction of its own or in a given one."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from db.jobs import accepting, attempts, claiming, reading
from db.jobs.claiming import Claim
from db.session import Database
from models.domain.job_results.embeddings import BatchResult
from models.domain.types import JobStatus, JobType
from tests.support.clock import Clock
from tests.support.payloads import NOTHING_EMBEDDED, some_payload

LEASE = timedelta(seconds=60)
_NO_ROWS = BatchResult(rows=0, accepted=0, listing_ids=(), errors=())


class Waiting(NamedTuple):
    """A job as far as publishing goes."""

    id: UUID
    type: JobType
    attempt: int = 0


def accept(
    database: Database, now: datetime, job_type: JobType = JobType.EMBED, **given: Any
) -> UUID:
    with database.write() as session:
        return accepting.accept(
            session, some_payload(job_type), job_id=uuid4(), now=now, **given
        ).id


def claim(database: Database, job_id: UUID, now: datetime) -> Claim:
    with database.write() as session:
        owned = claiming.claim(session, job_id, now, LEASE)
    assert owned is not None
    return owned


def status(database: Database, job_id: UUID) -> JobStatus:
    with database.read() as session:
        return reading.get(session, job_id).status


def finish(session: Session, owned: Claim, clock: Clock, **given: Any) -> None:
    attempts.finish(session, owned, clock(), result=NOTHING_EMBEDDED, **given)


def batch(database: Database, clock: Clock, photos: list[int]) -> tuple[UUID, list[UUID]]:
    with database.write() as session:
        parent = accepting.accept_batch(
            session, _NO_ROWS, job_id=uuid4(), now=clock(), total=sum(photos)
        )
    children = [accept(database, clock(), total=total, parent_id=parent.id) for total in photos]
    return parent.id, children
