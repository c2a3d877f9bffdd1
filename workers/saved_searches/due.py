"""When a match job is due, beside those that saving a search asks for."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from db.jobs import accepting, counting
from db.saved_searches.progress import is_behind
from db.saved_searches.searches import is_active_behind
from db.session import Database
from db.tables import Job
from models.domain.job_payloads import MatchPayload
from models.domain.types import JobType


def match_if_due(
    database: Database, *, clock: Callable[[], datetime], new_id: Callable[[], UUID]
) -> Job | None:
    """Accept a match job where something is to be done and none is to do it.

    Listings change without an embed job where only their prices, places or texts do.
    """
    with database.read() as session:
        if not (is_behind(session) or is_active_behind(session)):
            return None
        if counting.count_open(session, JobType.MATCH):
            return None
    with database.write() as session:
        return accept_match(session, job_id=new_id(), now=clock())


def accept_match(session: Session, *, job_id: UUID, now: datetime) -> Job:
    """Store a match job. It is published after this transaction has committed."""
    return accepting.accept(session, MatchPayload(), job_id=job_id, now=now)
