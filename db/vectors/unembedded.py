"""Which photos are still to be embedded. Needs no numpy: the API asks this."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.statements import chunks
from db.tables import Embedding
from db.vectors.encoders import established_encoders


def not_embedded_yet(session: Session, photo_ids: Sequence[int]) -> list[int]:
    """Those of the photos that an established encoder has yet to embed, in their order."""
    encoder_ids = [encoder.id for encoder in established_encoders(session)]
    if not encoder_ids:
        return list(photo_ids)
    by_all: set[int] = set()
    for chunk in chunks(photo_ids):
        by_all.update(
            session.scalars(
                select(Embedding.photo_id)
                .where(Embedding.photo_id.in_(chunk), Embedding.encoder_id.in_(encoder_ids))
                .group_by(Embedding.photo_id)
                .having(func.count() == len(encoder_ids))
            )
        )
    return [photo_id for photo_id in photo_ids if photo_id not in by_all]
