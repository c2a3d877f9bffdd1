"""Index generations and their statuses."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict, Unpack
from uuid import UUID

from sqlalchemy import bindparam, exists, func, select, update
from sqlalchemy.orm import Session

from db.tables import Change, Encoder, Generation, Job
from models.domain.errors import Conflict, NotFound
from models.domain.types import OPEN_STATUSES, GenerationStatus, JobStatus, JobType

USABLE = (GenerationStatus.LIVE, GenerationStatus.RETIRED)
KEPT = frozenset({*USABLE, GenerationStatus.BUILDING})
"""Statuses of generations whose files may still be needed."""


def begin(session: Session, encoder_id: int, job_id: UUID, now: datetime) -> Generation:
    """A new generation, with the status `building`."""
    generation = Generation(
        encoder_id=encoder_id, job_id=job_id, status=GenerationStatus.BUILDING, created_at=now
    )
    session.add(generation)
    session.flush()
    return generation


class Measured(TypedDict, total=False):
    """What a build has measured of a generation; see the columns of `Generation`."""

    factory: str
    rows: int
    last_change: int
    recall_at_10: float
    p50_ms: float
    bytes: int
    manifest_sha256: str


def activate(
    session: Session, generation_id: int, now: datetime, **measured: Unpack[Measured]
) -> Generation:
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
    """End a build that did not become live; False, without a change, if it is not building."""
    ended = session.execute(
        update(Generation)
        .where(Generation.id == generation_id, Generation.status == GenerationStatus.BUILDING)
        .values(status=status, error=error)
        .returning(Generation.id)
    ).one_or_none()
    return ended is not None


def abandoned(session: Session) -> Sequence[Generation]:
    """Generations that are still building; with one build at a time, all are of dead workers."""
    return session.scalars(
        select(Generation).where(Generation.status == GenerationStatus.BUILDING)
    ).all()


def end_orphaned(session: Session) -> list[int]:
    """End the builds whose job has ended; returns their ids."""
    job_is_open = exists().where(Job.id == Generation.job_id, Job.status.in_(OPEN_STATUSES))
    orphaned = list(
        session.scalars(
            select(Generation.id).where(
                Generation.status == GenerationStatus.BUILDING, ~job_is_open
            )
        )
    )
    for generation_id in orphaned:
        end(session, generation_id, GenerationStatus.FAILED, "its job ended before it did")
    return orphaned


def live(session: Session, encoder_id: int) -> Generation | None:
    """The live generation of an encoder."""
    return session.scalar(
        select(Generation).where(
            Generation.encoder_id == encoder_id, Generation.status == GenerationStatus.LIVE
        )
    )


def open_reindex(session: Session) -> Job | None:
    """The reindex that is queued or running, if any: at most one at a time."""
    return session.scalar(
        select(Job).where(Job.type == JobType.REINDEX, Job.status.in_(OPEN_STATUSES))
    )


# Built once: every search needs it.
_USABLE = (
    select(Generation)
    .where(Generation.encoder_id == bindparam("its_encoder"), Generation.status.in_(USABLE))
    .order_by(Generation.activated_at.desc(), Generation.id.desc())
)


def usable(session: Session, encoder_id: int) -> Sequence[Generation]:
    """The live generation and, after it, those it could be rolled back to, newest first."""
    rows = session.scalars(_USABLE, {"its_encoder": encoder_id}).all()
    return sorted(rows, key=lambda row: row.status is not GenerationStatus.LIVE)


def previous(session: Session, encoder_id: int) -> Generation | None:
    """The generation that was live before, if it is kept: a rollback activates it."""
    rows = usable(session, encoder_id)
    return next((row for row in rows if row.status is GenerationStatus.RETIRED), None)


def surplus(session: Session, encoder_id: int, keep: int) -> list[int]:
    """The ids of all but the `keep` usable generations that were live last."""
    return [row.id for row in usable(session, encoder_id)[keep:]]


def retire_surplus(session: Session, encoder_id: int, keep: int) -> list[int]:
    """Mark all but the `keep` usable generations that were live last as removed; returns their ids.

    From this commit on no process opens them: their files can be deleted once those that have them
    open are done.
    """
    _lock(session, encoder_id)
    removed = surplus(session, encoder_id, keep)
    session.execute(
        update(Generation).where(Generation.id.in_(removed)).values(status=GenerationStatus.REMOVED)
    )
    return removed


def newest(session: Session, encoder_id: int) -> Generation | None:
    """The usable generation that was built last; it may have been rolled back since."""
    return max(usable(session, encoder_id), key=lambda row: row.id, default=None)


def changed_since(session: Session, generation: Generation | None, at_most: int) -> int:
    """How many photos have changed since this generation, or ever; counted up to `at_most`."""
    number = 0 if generation is None else generation.last_change or 0
    changed = (
        select(Change.photo_id).where(Change.number > number).distinct().limit(at_most).subquery()
    )
    return session.scalars(select(func.count()).select_from(changed)).one()


def reindex_failed_since(session: Session, moment: datetime) -> bool:
    """Whether a reindex has failed, been refused or been cancelled since then."""
    failed = exists().where(
        Job.type == JobType.REINDEX,
        Job.status.in_((JobStatus.FAILED, JobStatus.CANCELLED)),
        Job.finished_at > moment,
    )
    return bool(session.scalar(select(failed)))


def _lock(session: Session, encoder_id: int) -> None:
    """Serialise switching, rollback and pruning of an encoder's generations."""
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
