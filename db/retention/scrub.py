"""What jobs and answers say of erased listings and photos is taken out, a page at a time."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Text, and_, cast, delete, exists, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from db.events.store import lock_events
from db.events.tables import Event
from db.jobs.cancelling import cancel
from db.retention.traces import names_any, without
from db.statements import chunks
from db.tables import Generation, IdempotencyKey, Job, Listing, Place
from models.domain.job_payloads import PAYLOAD_TYPES, EmbedPayload, StoredJson
from models.domain.types import OPEN_STATUSES, JobStatus, JobType

LOOKED_AT: Final = 500
EVENTS_LOOKED_AT: Final = 20_000


class JobsPage(NamedTuple):
    """Where a pass through the jobs has come to, None at the end.

    `naming` are those that name what is looked for.
    """

    position: tuple[datetime, UUID] | None
    naming: list[UUID]


def jobs_naming(
    session: Session, traces: Collection[str], after: tuple[datetime, UUID] | None
) -> JobsPage:
    """Look at the next jobs in order of their creation."""
    statement = (
        select(
            Job.created_at,
            Job.id,
            cast(Job.payload, Text),
            cast(Job.result, Text),
            Job.error_detail,
        )
        .order_by(Job.created_at, Job.id)
        .limit(LOOKED_AT)
    )
    if after is not None:
        statement = statement.where(tuple_(Job.created_at, Job.id) > after)
    rows = session.execute(statement).all()
    naming = [row[1] for row in rows if any(names_any(stored, traces) for stored in row[2:])]
    return JobsPage((rows[-1][0], rows[-1][1]) if rows else None, naming)


def any_running_since(session: Session, moment: datetime) -> bool:
    """Whether a job runs that began before this time: what it has read may be in its result."""
    began = and_(Job.status == JobStatus.RUNNING, Job.started_at <= moment)
    return bool(session.scalar(select(exists().where(began))))


def scrub_job(
    session: Session,
    job_id: UUID,
    listings: Collection[str],
    photos: Collection[str],
    now: datetime,
) -> bool:
    """Take listings and photos out of a job; whether nothing of them is left.

    A job that fetches photos of a listing is cancelled if it is open; others, which somebody waits
    for, stay as they are until they have ended. What has nothing else to say is deleted.
    """
    job = session.get(Job, job_id, with_for_update=True, populate_existing=True)
    if job is None:
        return True
    traces = {*listings, *photos}
    is_open = job.status in OPEN_STATUSES
    if is_open and job.type is JobType.EMBED and without(job.payload, listings) != job.payload:
        job = cancel(session, job_id, now)
    elif is_open and without(job.payload, traces) != job.payload:
        return False
    payload = _payload_without(job, traces)
    result = None if job.result is None else without(job.result, traces)
    if payload is None or (job.result is not None and not isinstance(result, dict)):
        return _delete(session, job)
    if payload != job.payload:
        job.payload = payload
    if result != job.result and isinstance(result, dict):
        job.result = result
    if names_any(job.error_detail, traces):
        job.error_detail = None
    session.flush()
    return True


def _payload_without(job: Job, traces: Collection[str]) -> StoredJson | None:
    """The payload without these, None if it asks for nothing else."""
    if job.type is JobType.EMBED and without(job.payload, traces) != job.payload:
        ids = EmbedPayload.parse(job.payload).photo_ids
        return EmbedPayload(photo_ids=ids).to_json()
    payload = without(job.payload, traces)
    if not isinstance(payload, dict):
        return None
    if payload != job.payload:
        try:
            PAYLOAD_TYPES[job.type].model_validate(payload)
        except ValidationError:
            return None
    return payload


def _delete(session: Session, job: Job) -> bool:
    """Delete an ended job, with the answer that names it; one that is needed says nothing more."""
    child = aliased(Job)
    is_needed = exists().where(child.parent_id == job.id) | exists().where(
        Generation.job_id == job.id
    )
    if job.status in OPEN_STATUSES:
        return False
    if session.scalar(select(is_needed)):
        job.result = None
        job.error_detail = None
    else:
        answers = delete(IdempotencyKey).where(IdempotencyKey.job_id == job.id)
        session.execute(answers.execution_options(synchronize_session=False))
        session.delete(job)
    session.flush()
    return True


class AnswersPage(NamedTuple):
    """Where a pass through the kept answers has come to, None at the end, and those that match."""

    position: tuple[str, str] | None
    naming: list[tuple[str, str]]


def answers_naming(
    session: Session, traces: Collection[str], after: tuple[str, str] | None
) -> AnswersPage:
    """Look at the next answers to requests with an idempotency key."""
    columns = (IdempotencyKey.holder, IdempotencyKey.key)
    statement = (
        select(*columns, IdempotencyKey.location, cast(IdempotencyKey.body, Text))
        .where(IdempotencyKey.status.is_not(None))
        .order_by(*columns)
        .limit(LOOKED_AT)
    )
    if after is not None:
        statement = statement.where(tuple_(*columns) > after)
    rows = session.execute(statement).all()
    naming = [(row[0], row[1]) for row in rows if any(names_any(one, traces) for one in row[2:])]
    return AnswersPage((rows[-1][0], rows[-1][1]) if rows else None, naming)


def remove_answers(session: Session, keys: Sequence[tuple[str, str]]) -> int:
    """Delete these answers; returns how many there were."""
    for holder, key in keys:
        its = and_(IdempotencyKey.holder == holder, IdempotencyKey.key == key)
        deleting = delete(IdempotencyKey).where(its, IdempotencyKey.status.is_not(None))
        session.execute(deleting.execution_options(synchronize_session=False))
    return len(keys)


class EventsPage(NamedTuple):
    """The last number that was looked at, None at the end, and the events of some listings."""

    last: int | None
    numbers: list[int]


def events_of_listings(
    session: Session, listing_numbers: Collection[int], after: int
) -> EventsPage:
    """Look at the next events, of whichever kind, for those of these listings."""
    numbered = (
        select(Event.number, Event.listing_number)
        .where(Event.number > after)
        .order_by(Event.number)
        .limit(EVENTS_LOOKED_AT)
    )
    rows = session.execute(numbered).all()
    wanted = set(listing_numbers)
    return EventsPage(
        rows[-1].number if rows else None,
        [row.number for row in rows if row.listing_number in wanted],
    )


def remove_events(session: Session, numbers: Sequence[int]) -> int:
    """Delete events of erased listings, of which nothing is derived; returns how many."""
    lock_events(session)
    for chunk in chunks(numbers):
        deleting = delete(Event).where(Event.number.in_(chunk))
        session.execute(deleting.execution_options(synchronize_session=False))
    return len(numbers)


def remove_places(session: Session, names: Collection[str]) -> None:
    """Delete what geocoders said of these places, where no listing is at one any more."""
    for name in sorted(names):
        if session.scalar(select(exists().where(_is_at(Listing.location, name)))):
            continue
        deleting = delete(Place).where(Place.name == name)
        session.execute(deleting.execution_options(synchronize_session=False))


def _is_at(column: InstrumentedAttribute[str | None], name: str) -> ColumnElement[bool]:
    return column == name
