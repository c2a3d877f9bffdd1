"""Ask for the index to be built."""

from datetime import datetime
from uuid import UUID

from db import jobs
from db.session import Database
from db.vectors.embeddings import count_live
from db.vectors.encoders import active_encoder
from db.vectors.generations import live
from models.domain.types import JobType
from workers.queue.publisher import JobPublisher


def lacks_generation(database: Database) -> bool:
    """Whether there is something to search, and no live generation of it."""
    with database.read() as session:
        active = active_encoder(session)
        if active is None or live(session, active.id) is not None:
            return False
        return count_live(session, active.id) > 0


def request_reindex(
    database: Database, publisher: JobPublisher | None, *, job_id: UUID, now: datetime
) -> UUID:
    """Accept a reindex, and publish it if there is a queue. Raises ReindexRunning."""
    with database.write() as session:
        job = jobs.accept(session, JobType.REINDEX, {}, job_id=job_id, now=now)
    if publisher is not None:
        publisher.publish([job])
    return job.id
