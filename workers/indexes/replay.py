"""Applies the change feed of the database to an index."""

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.vectors.changes import changes_after
from db.vectors.embeddings import live_vectors_of

CHANGES_PER_STEP: Final = 2_000


class WritableIndex(Protocol):
    """An index that supports upserts and removals by photo id."""

    def upsert(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add or replace the vectors (n, dimension) of the photos (n,)."""

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove the photos (n,); ids that are not in the index are ignored."""


def apply_next_changes(session: Session, index: WritableIndex, encoder_id: int, after: int) -> int:
    """Apply the next `CHANGES_PER_STEP` changes after this number; gives the last one's number.

    Photos are read in their current state, not in that of the change. Gives `after` itself when
    there are no more changes.
    """
    number, photo_ids = changes_after(session, after, CHANGES_PER_STEP)
    if photo_ids:
        ids, vectors = live_vectors_of(session, encoder_id, photo_ids)
        index.remove(np.setdiff1d(np.array(photo_ids, np.int64), ids))
        if len(ids):
            index.upsert(ids, vectors)
    return number


def replay(session: Session, index: WritableIndex, encoder_id: int, after: int) -> int:
    """Apply every change after this number; gives the last one's number."""
    while (number := apply_next_changes(session, index, encoder_id, after)) != after:
        after = number
    return after
