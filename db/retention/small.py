"""Small tables of which old rows leave."""

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.orm import Session

from db.access.tables import AuditEntry
from db.retention.amounts import Amount
from db.retention.tables import Erasure
from db.tables import IdempotencyKey, Place

AT_ONCE: Final = 1_000
_ROW_BYTES: Final = 100


def any_places(session: Session, before: datetime) -> bool:
    """Whether a geocoder was last asked for some place before this time."""
    return bool(session.scalar(select(exists().where(Place.looked_up_at < before))))


def remove_places(session: Session, before: datetime) -> int:
    """Delete places that were looked up before this time, so many at once; returns how many."""
    some = select(Place.name).where(Place.looked_up_at < before).limit(AT_ONCE)
    deleting = delete(Place).where(Place.name.in_(some), Place.looked_up_at < before)
    deleting = deleting.execution_options(synchronize_session=False)
    return session.connection().execute(deleting).rowcount


def any_erasures(session: Session, before: datetime) -> bool:
    """Whether there is a note of an erasure that ended before this time."""
    return bool(session.scalar(select(exists().where(Erasure.finished_at < before))))


def remove_erasures(session: Session, before: datetime) -> int:
    """Delete the notes of erasures that ended before this time, so many at once."""
    some = select(Erasure.id).where(Erasure.finished_at < before).limit(AT_ONCE)
    deleting = delete(Erasure).where(Erasure.id.in_(some))
    deleting = deleting.execution_options(synchronize_session=False)
    return session.connection().execute(deleting).rowcount


def any_audit(session: Session, before: datetime) -> bool:
    """Whether the audit log has an entry from before this time."""
    return bool(session.scalar(select(exists().where(AuditEntry.at < before))))


def audit_amount(session: Session, before: datetime) -> Amount:
    """How many entries of the audit log are that old."""
    return _amount(session, AuditEntry.at < before)


def places_amount(session: Session, before: datetime) -> Amount:
    """How many places were looked up before this time."""
    return _amount(session, Place.looked_up_at < before)


def erasures_amount(session: Session, before: datetime) -> Amount:
    """How many notes of erasures are that old."""
    return _amount(session, Erasure.finished_at < before)


def keys_amount(session: Session, now: datetime) -> Amount:
    """How many idempotency keys have expired."""
    return _amount(session, IdempotencyKey.expires_at <= now)


def _amount(session: Session, condition: ColumnElement[bool]) -> Amount:
    count = session.scalars(select(func.count()).where(condition)).one()
    return Amount(count, count * _ROW_BYTES)
