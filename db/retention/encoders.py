"""The vectors of encoders that were retired long ago, and rows of generations that are no more."""

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, exists, func, select
from sqlalchemy.orm import Session

from db.retention.amounts import Amount
from db.saved_searches.tables import SavedSearchVectors
from db.statements import chunks
from db.tables import Embedding, Encoder, Generation
from db.vectors.generations import KEPT
from models.domain.types import EncoderStatus

AT_ONCE: Final = 500


def expired_encoders(session: Session, before: datetime) -> list[int]:
    """The encoders that were retired before this time and that no index is kept of, by id."""
    return list(session.scalars(select(Encoder.id).where(_is_expired(before)).order_by(Encoder.id)))


def retired_encoders(session: Session, before: datetime) -> list[int]:
    """The encoders that were retired before this time, by id."""
    return list(session.scalars(select(Encoder.id).where(_is_retired(before)).order_by(Encoder.id)))


def any_vectors(session: Session, encoder_id: int) -> bool:
    """Whether photos or saved searches have vectors by this encoder."""
    of_photos = exists().where(Embedding.encoder_id == encoder_id)
    of_searches = exists().where(SavedSearchVectors.encoder_id == encoder_id)
    return bool(session.scalar(select(of_photos | of_searches)))


def remove_vectors(session: Session, encoder_id: int, before: datetime) -> int:
    """Delete vectors by a retired encoder, so many at once; returns how many.

    None if it is followed again. Who follows it meanwhile waits for this transaction.
    """
    locking = select(Encoder.id).where(Encoder.id == encoder_id, _is_expired(before))
    if session.scalar(locking.with_for_update()) is None:
        return 0
    photo_ids = session.scalars(
        select(Embedding.photo_id)
        .where(Embedding.encoder_id == encoder_id)
        .order_by(Embedding.photo_id)
        .limit(AT_ONCE)
    ).all()
    of_searches = delete(SavedSearchVectors).where(SavedSearchVectors.encoder_id == encoder_id)
    session.execute(of_searches.execution_options(synchronize_session=False))
    for chunk in chunks(photo_ids):
        deleting = delete(Embedding).where(
            Embedding.encoder_id == encoder_id, Embedding.photo_id.in_(chunk)
        )
        session.execute(deleting.execution_options(synchronize_session=False))
    return len(photo_ids)


def vectors_amount(session: Session, encoder_id: int) -> Amount:
    """How many vectors of photos there are by this encoder, and their bytes."""
    size = func.coalesce(func.sum(func.length(Embedding.vector)), 0)
    statement = select(func.count(), size).where(Embedding.encoder_id == encoder_id)
    return Amount(*session.execute(statement).one())


def any_generation_rows(session: Session, before: datetime) -> bool:
    """Whether there are rows of generations from before this time that are not kept."""
    return bool(session.scalar(select(exists().where(_is_past(before)))))


def count_generation_rows(session: Session, before: datetime) -> int:
    """How many rows of generations from before this time are not kept."""
    return session.scalars(select(func.count()).where(_is_past(before))).one()


def remove_generation_rows(session: Session, before: datetime) -> int:
    """Delete the rows of generations from before this time that are not kept; returns how many."""
    deleting = delete(Generation).where(_is_past(before))
    deleting = deleting.execution_options(synchronize_session=False)
    return session.connection().execute(deleting).rowcount


def _is_retired(before: datetime) -> ColumnElement[bool]:
    return and_(Encoder.status == EncoderStatus.RETIRED, Encoder.retired_at < before)


def _is_expired(before: datetime) -> ColumnElement[bool]:
    is_indexed = exists().where(Generation.encoder_id == Encoder.id, Generation.status.in_(KEPT))
    return and_(_is_retired(before), ~is_indexed)


def _is_past(before: datetime) -> ColumnElement[bool]:
    return and_(Generation.status.not_in(KEPT), Generation.created_at < before)
