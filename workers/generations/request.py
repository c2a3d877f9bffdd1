"""Requests for the index to be built."""

from datetime import datetime
from typing import Final
from uuid import UUID

from db.jobs import accepting
from db.session import Database
from db.tables import Job
from db.vectors.embeddings import count_live
from db.vectors.encoders import active_encoder
from db.vectors.generations import live
from models.domain.job_payloads import ReindexPayload

ACTIVE: Final = ReindexPayload()


def lacks_generation(database: Database) -> bool:
    """Whether the active encoder has live vectors, but no live generation."""
    with database.read() as session:
        active = active_encoder(session)
        if active is None or live(session, active.id) is not None:
            return False
        return count_live(session, active.id) > 0


def accept_reindex(
    database: Database, *, job_id: UUID, now: datetime, payload: ReindexPayload = ACTIVE
) -> Job:
    """Accept a reindex, of the active encoder's vectors by default. Raises ReindexRunning."""
    with database.write() as session:
        return accepting.accept(session, payload, job_id=job_id, now=now)
