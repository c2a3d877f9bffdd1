"""Jobs that embed photos: a few photos each."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from db.jobs import accepting
from db.statements import chunks
from db.tables import Job
from models.domain.job_payloads import EmbedPayload

PHOTOS_PER_JOB: Final = 32
"""Photos in one embed job: enough for batching, few enough to lose little when a worker dies."""


def accept_embed_jobs(
    session: Session,
    photo_ids: Iterable[int],
    *,
    now: datetime,
    new_id: Callable[[], UUID],
    encoder_id: int | None = None,
    parent_id: UUID | None = None,
    made_by: str | None = None,
) -> list[Job]:
    """Store the jobs that embed these photos, in their order, by all encoders or by one."""
    return [
        accepting.accept(
            session,
            EmbedPayload(photo_ids=tuple(chunk), encoder_id=encoder_id),
            job_id=new_id(),
            now=now,
            total=len(chunk),
            parent_id=parent_id,
            made_by=made_by,
        )
        for chunk in chunks(photo_ids, PHOTOS_PER_JOB)
    ]
