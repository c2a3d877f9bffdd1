"""The stored vectors of all listings' photos. Needs numpy: the API never imports this module."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from db.tables import Embedding, Listing, ListingPhoto
from models.vectors import STORED_DTYPE

ROWS_AT_ONCE: Final = 5_000


class ListingVectors(NamedTuple):
    """p photos: the numbers (p,) of the listings that show them, and their vectors (p, dimension).

    Vectors are as they are stored, in float16.
    """

    numbers: NDArray[np.int64]
    vectors: NDArray[np.float16]


def count_listing_vectors(session: Session, encoder_id: int) -> int:
    """How many `listing_vectors` there are."""
    statement = _statement(encoder_id).with_only_columns(func.count()).order_by(None)
    return session.execute(statement).scalar_one()


def listing_vectors(session: Session, encoder_id: int) -> Iterator[ListingVectors]:
    """The vectors by this encoder, in order of listings' numbers and of each one's photos.

    Also those of deleted listings.
    """
    result = session.connection().execute(
        _statement(encoder_id),
        execution_options={"stream_results": True, "yield_per": ROWS_AT_ONCE},
    )
    for rows in result.partitions():
        numbers, vectors = zip(*rows, strict=True)
        stored = np.frombuffer(b"".join(map(bytes, vectors)), STORED_DTYPE)
        yield ListingVectors(
            np.array(numbers, np.int64), stored.reshape(len(numbers), -1).astype(np.float16)
        )


def _statement(encoder_id: int) -> Select[int, bytes]:
    return (
        select(Listing.number, Embedding.vector)
        .join(ListingPhoto, ListingPhoto.listing_id == Listing.id)
        .join(Embedding, Embedding.photo_id == ListingPhoto.photo_id)
        .where(Embedding.encoder_id == encoder_id, func.length(Embedding.vector) > 0)
        .order_by(Listing.number, ListingPhoto.position)
    )
