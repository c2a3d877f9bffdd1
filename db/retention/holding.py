"""Generations that hold vectors of what was erased."""

from collections.abc import Collection

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.statements import chunks
from db.tables import Encoder, Generation, ListingChange
from db.vectors.generations import KEPT
from models.domain.types import EncoderStatus, GenerationStatus


def retire_holding(session: Session, generation_ids: Collection[int]) -> None:
    """Stop keeping those of the generations that do not serve: nobody can return to them."""
    retired = select(Encoder.id).where(Encoder.status == EncoderStatus.RETIRED)
    for chunk in chunks(generation_ids):
        for ending in (
            Generation.status == GenerationStatus.RETIRED,
            (Generation.status == GenerationStatus.LIVE) & Generation.encoder_id.in_(retired),
        ):
            session.execute(
                update(Generation)
                .where(Generation.id.in_(chunk), ending)
                .values(status=GenerationStatus.REMOVED)
                .execution_options(synchronize_session=False)
            )


def held_live(session: Session, generation_ids: Collection[int]) -> dict[int, int]:
    """Those of the generations that serve, or are being built, with their encoders."""
    return {
        row.id: row.encoder_id
        for chunk in chunks(generation_ids)
        for row in session.execute(
            select(Generation.id, Generation.encoder_id).where(
                Generation.id.in_(chunk), Generation.status.in_(KEPT)
            )
        )
    }


def last_gone(session: Session, listing_numbers: Collection[int]) -> int:
    """The number of the last change by which one of these listings was erased, 0 if none is."""
    return max(
        (
            session.scalar(
                select(func.max(ListingChange.number)).where(ListingChange.gone.in_(chunk))
            )
            or 0
            for chunk in chunks(listing_numbers)
        ),
        default=0,
    )
