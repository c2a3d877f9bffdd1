"""Jobs that were accepted for a user: they name the user's key, and are forgotten with the user."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.retention.photos import photos_named
from db.statements import chunks
from db.tables import IdempotencyKey, Job


def jobs_of_user(session: Session, user: bytes, limit: int) -> Sequence[UUID]:
    """The jobs for a user, newest first."""
    return session.scalars(
        select(Job.id)
        .where(Job.user_key == user)
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(limit)
    ).all()


def photos_of_jobs(session: Session, user: bytes) -> set[str]:
    """The SHA-256 of the photos that the jobs for a user ask about."""
    rows = session.execute(select(Job.type, Job.payload).where(Job.user_key == user))
    return {photo for job_type, payload in rows for photo in photos_named(job_type, payload)}


def forget_jobs(session: Session, user: bytes) -> int:
    """Delete the jobs for a user, whatever their status, with the answers that name them.

    Who works on one has lost it. Returns how many there were.
    """
    # Locked in order, so that two who forget do not deadlock.
    locking = select(Job.id).where(Job.user_key == user).order_by(Job.id).with_for_update()
    job_ids = session.scalars(locking).all()
    for chunk in chunks(job_ids):
        for deleting in (
            delete(IdempotencyKey).where(IdempotencyKey.job_id.in_(chunk)),
            delete(Job).where(Job.id.in_(chunk)),
        ):
            session.execute(deleting.execution_options(synchronize_session=False))
    return len(job_ids)
