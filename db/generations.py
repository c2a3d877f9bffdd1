"""Index generations: which were built, which is live."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.tables import Encoder, Generation, Job
from models.domain import OPEN_STATUSES, GenerationStatus, JobType
from models.errors import Conflict, NotFound

USABLE = (GenerationStatus.LIVE, GenerationStatus.RETIRED)


def begin(session: Session, encoder_id: int, job_id: UUID, now: datetime) -> Generation:
    """A new generation, in building."""
    generation = Generation(
        encoder_id=encoder_id, job_id=job_id, status=GenerationStatus.BUILDING, created_at=now
    )
    session.add(generation)
    session.flush()
    return generation


def activate(session: Session, generation_id: int, now: datetime, **measured: Any) -> Generation:
    """Make a built generation the live one of its encoder; the one before is kept, retired."""
    generation = get(session, generation_id)
    _lock(session, generation.encoder_id)
    session.execute(
        update(Generation)
        .where(
            Generation.encoder_id == generation.encoder_id,
            Generation.status == GenerationStatus.LIVE,
        )
        .values(status=GenerationStatus.RETIRED)
    )
    for name, value in measured.items():
        setattr(generation, name, value)
    generation.status = GenerationStatus.LIVE
    generation.activated_at = now
    session.flush()
    return generation


def switch_to(session: Session, generation_id: int, now: datetime) -> Generation:
    """Make a kept generation live again. Raises NotFound, or Conflict when it is not kept."""
    generation = get(session, generation_id)
    _lock(session, generation.encoder_id)
    session.refresh(generation)
    if generation.status not in USABLE:
        raise Conflict(f"A generation that is {generation.status} can't serve.")
    return activate(session, generation_id, now)


def end(session: Session, generation_id: int, status: GenerationStatus, error: str) -> bool:
    """Note a build that did not become live; False, changing nothing, when it did or had ended."""
    ended = session.execute(
        update(Generation)
        .where(Generation.id == generation_id, Generation.status == GenerationStatus.BUILDING)
        .values(status=status, error=error)
        .returning(Generation.id)
    ).one_or_none()
    return ended is not None


def abandoned(session: Session) -> Sequence[Generation]:
    """Builds that were begun and never ended; with one build at a time, all are of dead workers."""
    return session.scalars(
        select(Generation).where(Generation.status == GenerationStatus.BUILDING)
    ).all()


def live(session: Session, encoder_id: int) -> Generation | None:
    """The live generation of an encoder."""
    return session.scalar(
        select(Generation).where(
            Generation.encoder_id == encoder_id, Generation.status == GenerationStatus.LIVE
        )
    )


def open_reindex(session: Session) -> Job | None:
    """The reindex that is queued or running, if one is: there is one at a time."""
    return session.scalar(
        select(Job).where(Job.type == JobType.REINDEX, Job.status.in_(OPEN_STATUSES))
    )


def usable(session: Session, encoder_id: int) -> Sequence[Generation]:
    """The live generation and, after it, those it could be rolled back to, newest first."""
    rows = session.scalars(
        select(Generation)
        .where(Generation.encoder_id == encoder_id, Generation.status.in_(USABLE))
        .order_by(Generation.activated_at.desc())
    ).all()
    return sorted(rows, key=lambda row: row.status is not GenerationStatus.LIVE)


def retire_beyond(session: Session, encoder_id: int, keep: int) -> list[int]:
    """Forget all but the newest `keep` usable generations; returns the ids to remove from disk."""
    _lock(session, encoder_id)
    surplus = [row.id for row in usable(session, encoder_id)[keep:]]
    session.execute(
        update(Generation).where(Generation.id.in_(surplus)).values(status=GenerationStatus.REMOVED)
    )
    return surplus


def _lock(session: Session, encoder_id: int) -> None:
    """Switch, roll back and prune one after the other, each seeing what the one before did."""
    session.get(Encoder, encoder_id, with_for_update=True)


def get(session: Session, generation_id: int) -> Generation:
    """The generation. Raises NotFound."""
    generation = session.get(Generation, generation_id)
    if generation is None:
        raise NotFound("There is no such generation.")
    return generation


def all_generations(session: Session, limit: int) -> Sequence[Generation]:
    """Generations, newest first."""
    return session.scalars(select(Generation).order_by(Generation.id.desc()).limit(limit)).all()
