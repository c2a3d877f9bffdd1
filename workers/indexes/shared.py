"""One index that all search workers share on a Milvus server, kept in step with the database."""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.session import Database
from db.vectors.changes import changes_after, last_change
from db.vectors.embeddings import live_vectors_after, live_vectors_of
from models.domain.types import EncoderSpec
from models.index.milvus import MilvusIndex, open_milvus
from workers.indexes.writer_lock import turn

log = logging.getLogger(__name__)

# A turn should be short: others wait for it, some of them with a search to answer.
CHANGES_PER_TURN = 2_000


class SharedIndex:
    """What `LiveIndex` is to one worker, for all: whoever searches next brings it up to date.

    Writers take turns (see `workers.indexes.writer_lock`), and each starts from the position that
    the collection itself keeps, so that no change is skipped whoever dies, and none is applied by
    old knowledge.
    One who loses the turn while writing, because a connection was cut, sets the position back to
    what was known then: the changes since are applied again.
    """

    # Generations are files, and there are none here.
    generation_id: int | None = None

    def __init__(self, index: MilvusIndex, database: Database, encoder_id: int) -> None:
        self.index = index
        self._database = database
        self._encoder_id = encoder_id
        self._reached = 0

    def sync(self, session: Session) -> None:
        """Have the index reflect every change that `session` sees; fill it if it never was."""
        newest = last_change(session)
        while self._reached < newest:
            self._reached = self._advance()

    def close(self) -> None:
        """Let go of the server."""
        self.index.close()

    def _advance(self) -> int:
        """Apply the next changes, or fill the index; gives the change number it reflects then."""
        with turn(self._database, self._encoder_id) as session:
            position = self.index.position
            # A position from the future is one of a database that was restored since.
            if position is not None and position <= last_change(session):
                number, photo_ids = changes_after(session, position, CHANGES_PER_TURN)
                if photo_ids:
                    ids, vectors = live_vectors_of(session, self._encoder_id, photo_ids)
                    self.index.remove(np.setdiff1d(photo_ids, ids))
                    if len(ids):
                        self.index.upsert(ids, vectors)
                    self.index.record(number)
                return number
        return fill(self.index, self._database, self._encoder_id)


class Mended(NamedTuple):
    """What was wrong with an index: photos that it lacked, and photos that are not live."""

    added: int
    removed: int


def open_shared(url: str, encoder: EncoderSpec, database: Database, encoder_id: int) -> SharedIndex:
    """The index of an encoder's vectors on the server at `url`; raises what `open_milvus` does."""
    with turn(database, encoder_id):
        index = open_milvus(url, encoder)
    return SharedIndex(index, database, encoder_id)


def fill(index: MilvusIndex, database: Database, encoder_id: int) -> int:
    """Make the index hold all live photos, whatever it says; gives the change number it reflects.

    Several workers may do so at once.
    """
    with database.read() as session:
        # The number comes before the vectors are read: a change in between is read twice.
        contained = last_change(session)
    mended = reconcile(
        index, database, encoder_id, lambda rows: log.info("filling Milvus: %s photos", rows)
    )
    with turn(database, encoder_id):
        index.record(contained)
    log.info("filled Milvus: %s photos added, %s removed", *mended)
    return contained


def reconcile(
    index: MilvusIndex, database: Database, encoder_id: int, heartbeat: Callable[[int], None]
) -> Mended:
    """Add the live photos that the index lacks, and remove what is in it and not live.

    Searches and changes go on meanwhile: each batch is a turn of its own. `heartbeat` gets the
    number of live photos seen so far.
    """
    held = index.ids()
    live = np.empty(0, np.int64)
    added = removed = 0
    while True:
        with _mending(index, database, encoder_id) as session:
            ids, vectors = live_vectors_after(session, encoder_id, int(live.max(initial=0)))
            missing = ~np.isin(ids, held)
            if missing.any():
                index.upsert(ids[missing], vectors[missing])
        if not len(ids):
            break
        live = np.append(live, ids)
        added += int(missing.sum())
        heartbeat(len(live))
    for surplus in _batches(np.setdiff1d(held, live)):
        with _mending(index, database, encoder_id) as session:
            gone = np.setdiff1d(surplus, live_vectors_of(session, encoder_id, surplus.tolist())[0])
            index.remove(gone)
        removed += len(gone)
        heartbeat(len(live))
    index.flush()
    return Mended(added, removed)


@contextmanager
def _mending(index: MilvusIndex, database: Database, encoder_id: int) -> Generator[Session]:
    """A turn for writing what the change feed does not ask for: the position stays where it is."""
    with turn(database, encoder_id) as session:
        position = index.position
        yield session
        if position is not None:
            index.record(position)


def _batches(ids: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.array_split(ids, range(CHANGES_PER_TURN, len(ids), CHANGES_PER_TURN))
