"""Vectors for recommendations: of listings by their covers, and of a sample of photos."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ScalarSelect, bindparam, func, select
from sqlalchemy.orm import Session, aliased

from db.statements import chunks
from db.tables import Embedding, ListingPhoto
from models.vectors import STORED_DTYPE, from_stored

VECTORS_AT_ONCE: Final = 2_000
"""That are read at once beside those that are given: 5 MB."""


class Cover(NamedTuple):
    """A listing's first photo that has a vector, and its unit vector (dimension,)."""

    photo_id: int
    vector: NDArray[np.float32]


def last_photo(session: Session, encoder_id: int) -> int:
    """The highest id of a photo that this encoder has embedded, 0 if there is none."""
    return session.scalar(_LAST_PHOTO, {"its_encoder": encoder_id}) or 0


def vectors_of_photos(
    session: Session, encoder_id: int, photo_ids: Sequence[int]
) -> NDArray[np.float32]:
    """The vectors (n, dimension) of those of the photos that have one, in order of their ids."""
    found = np.empty((0, 0), np.float32)
    rows = 0
    for chunk in chunks(photo_ids, VECTORS_AT_ONCE):
        stored = session.scalars(_VECTORS, {"its_encoder": encoder_id, "ids": chunk}).all()
        vectors = _unpacked(stored)
        if len(vectors) and not rows:
            found = np.empty((len(photo_ids), vectors.shape[1]), np.float32)
        found[rows : rows + len(vectors)] = vectors
        rows += len(vectors)
    return found[:rows]


def covers_of(
    session: Session, encoder_id: int, listing_ids: Collection[UUID]
) -> dict[UUID, Cover]:
    """The covers of those of the listings that have a photo with a vector, deleted ones too."""
    found: dict[UUID, Cover] = {}
    for chunk in chunks(listing_ids):
        rows = session.execute(_COVERS, {"its_encoder": encoder_id, "ids": chunk}).all()
        vectors = _unpacked([row.vector for row in rows])
        for row, vector in zip(rows, vectors, strict=True):
            found[row.listing_id] = Cover(row.photo_id, vector)
    return found


def _unpacked(stored: Sequence[bytes]) -> NDArray[np.float32]:
    if not stored:
        return np.empty((0, 0), np.float32)
    return from_stored(np.frombuffer(b"".join(stored), STORED_DTYPE).reshape(len(stored), -1))


def _first_with_vector() -> ScalarSelect[int]:
    shown, embedded = aliased(ListingPhoto), aliased(Embedding)
    return (
        select(func.min(shown.position))
        .join(embedded, embedded.photo_id == shown.photo_id)
        .where(
            shown.listing_id == ListingPhoto.listing_id,
            embedded.encoder_id == bindparam("its_encoder"),
            func.length(embedded.vector) > 0,
        )
        .scalar_subquery()
    )


_LAST_PHOTO = select(func.max(Embedding.photo_id)).where(
    Embedding.encoder_id == bindparam("its_encoder")
)
_VECTORS = (
    select(Embedding.vector)
    .where(
        Embedding.encoder_id == bindparam("its_encoder"),
        Embedding.photo_id.in_(bindparam("ids", expanding=True)),
        func.length(Embedding.vector) > 0,
    )
    .order_by(Embedding.photo_id)
)
# Built once: every recommendation needs it.
_COVERS = (
    select(ListingPhoto.listing_id, ListingPhoto.photo_id, Embedding.vector)
    .join(Embedding, Embedding.photo_id == ListingPhoto.photo_id)
    .where(
        ListingPhoto.listing_id.in_(bindparam("ids", expanding=True)),
        Embedding.encoder_id == bindparam("its_encoder"),
        ListingPhoto.position == _first_with_vector(),
    )
)
