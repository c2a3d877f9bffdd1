"""One index that all search workers share on a Milvus server, kept in step with the database."""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.retention.removed import ChangesMissed
from db.session import Database
from db.vectors.changes import last_change
from db.vectors.embeddings import live_vectors, live_vectors_of
from models.domain.types import EncoderSpec
from models.index.milvus import MilvusIndex, open_milvus
from workers.indexes.following import IndexCounts, Repaired
from workers.indexes.replay import CHANGES_PER_STEP, apply_next_changes
from workers.indexes.writer_lock import writer_lock

log = logging.getLogger(__name__)


class SharedIndex:
    """The index that all workers share: a worker brings it up to date before it searches.

    One worker writes at a time (see `workers.indexes.writer_lock`). Each starts from the position
    that the collection itself keeps, so that no change is skipped when a worker dies. A worker that
    loses the lock while it writes, because its connection was cut, sets the position back to the
    one it started from: the changes since are applied again, which is idempotent.
    """

    # Generations are files, and there are none here.
    generation_id: int | None = None

    def __init__(self, index: MilvusIndex, database: Database, encoder_id: int) -> None:
        self.index = index
        self._database = database
        self._encoder_id = encoder_id
        self._reached = 0

    @property
    def counts(self) -> IndexCounts:
        """How many photos the server has for the active encoder."""
        return IndexCounts(self.index.rows)

    def sync(self, session: Session) -> None:
        """Apply every change that `session` sees; fill the index if it never was."""
        newest = last_change(session)
        while self._reached < newest:
            self._reached = self._advance()

    def repair(self, on_progress: Callable[[int], None]) -> Repaired:
        """See `SharedFollowingIndex`."""
        return repair(self.index, self._database, self._encoder_id, on_progress)

    def close(self) -> None:
        """Close the connection to the server."""
        self.index.close()

    def _advance(self) -> int:
        """Apply the next changes, or fill the index; gives the change number it reflects then."""
        with writer_lock(self._database, self._encoder_id) as session:
            position = self.index.position
            # A position after the last change means that the database was restored from a backup.
            if position is not None and position <= last_change(session):
                try:
                    number = apply_next_changes(session, self.index, self._encoder_id, position)
                except ChangesMissed:
                    log.warning("the index lacks changes that are not kept: it is compared")
                else:
                    if number != position:
                        self.index.record(number)
                    return number
        return fill(self.index, self._database, self._encoder_id)


def open_shared(url: str, encoder: EncoderSpec, database: Database, encoder_id: int) -> SharedIndex:
    """The index of an encoder's vectors on the server at `url`; raises what `open_milvus` does."""
    with writer_lock(database, encoder_id):
        index = open_milvus(url, encoder)
    return SharedIndex(index, database, encoder_id)


def fill(index: MilvusIndex, database: Database, encoder_id: int) -> int:
    """Repair the index whatever its position is; gives the change number it reflects.

    Several workers may do so at once.
    """
    with database.read() as session:
        # The number comes before the vectors are read: a change in between is read twice.
        contained = last_change(session)
    repaired = repair(
        index, database, encoder_id, lambda rows: log.info("filling Milvus: %s photos", rows)
    )
    with writer_lock(database, encoder_id):
        index.record(contained)
    log.info("filled Milvus: %s photos added, %s removed", *repaired)
    return contained


def repair(
    index: MilvusIndex, database: Database, encoder_id: int, on_progress: Callable[[int], None]
) -> Repaired:
    """Add the live photos that the index lacks, and remove what is in it and not live.

    Searches and changes go on meanwhile: each batch takes the lock anew. `on_progress` gets the
    number of live photos seen so far.
    """
    held = index.ids()
    live = np.empty(0, np.int64)
    added = removed = 0
    for ids, _ in live_vectors(database.read, encoder_id):
        missing = ids[~np.isin(ids, held)]
        if len(missing):
            with _repairing(index, database, encoder_id) as session:
                # Read again under the lock: a photo may have been deleted meanwhile.
                still_live, vectors = live_vectors_of(session, encoder_id, missing.tolist())
                if len(still_live):
                    index.upsert(still_live, vectors)
            added += len(still_live)
        live = np.append(live, ids)
        on_progress(len(live))
    for surplus in _batches(np.setdiff1d(held, live)):
        with _repairing(index, database, encoder_id) as session:
            gone = np.setdiff1d(surplus, live_vectors_of(session, encoder_id, surplus.tolist())[0])
            index.remove(gone)
        removed += len(gone)
        on_progress(len(live))
    index.flush()
    return Repaired(added, removed)


@contextmanager
def _repairing(index: MilvusIndex, database: Database, encoder_id: int) -> Generator[Session]:
    """Lock the index for a write that the change feed does not ask for; its position stays."""
    with writer_lock(database, encoder_id) as session:
        position = index.position
        yield session
        if position is not None:
            index.record(position)


def _batches(ids: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.array_split(ids, range(CHANGES_PER_STEP, len(ids), CHANGES_PER_STEP))
