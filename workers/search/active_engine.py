"""The search engine of a worker: the active encoder and the index of its vectors."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

from sqlalchemy.orm import Session

from db.session import Database
from db.tables import Encoder as EncoderRow
from db.vectors.encoders import active_encoder
from models.encoders.encoder import Encoder
from workers.indexes.following import FollowingIndex

log = logging.getLogger(__name__)

RETRY_AFTER_S = 30.0


@dataclass(frozen=True, slots=True)
class SearchEngine:
    """An encoder and the index of its vectors, always used together.

    `batch` is how many photos it embeds at once when so many queries are waiting. Two threads may
    use it: each holds `indexing` from `index.sync` to its last use of the index.
    """

    encoder_id: int
    encoder: Encoder
    index: FollowingIndex
    batch: int
    indexing: Lock = field(default_factory=Lock)


class ActiveEngine:
    """Holds the engine of the active encoder, and changes it when another encoder becomes active.

    `open_engine` opens the engine of an encoder, ready to search with, or raises. It takes seconds
    and runs in a thread of its own: searches go on with the previous engine, which is still kept
    up to date. If it raises, that one stays, and it is tried again `RETRY_AFTER_S` seconds later.
    """

    def __init__(
        self,
        database: Database,
        open_engine: Callable[[EncoderRow], SearchEngine],
        first: SearchEngine,
    ) -> None:
        self._database = database
        self._open_engine = open_engine
        self._held = first
        self._opener = ThreadPoolExecutor(1, "open-engine")
        self._opening: Future[SearchEngine] | None = None
        self._retry_at = 0.0
        self._following = Lock()
        self.encodes = True
        """Whether photos were embedded for the queries that were answered last."""

    @property
    def encoder_id(self) -> int:
        """The encoder that is held, which may not be the active one yet."""
        return self._held.encoder_id

    def current(self) -> SearchEngine:
        """The engine to use for a whole job, even if another encoder becomes active meanwhile."""
        with self._database.read() as session:
            return self.current_in(session)

    def current_in(self, session: Session) -> SearchEngine:
        """The same, as a transaction sees it."""
        active = active_encoder(session)
        with self._following:
            if active is not None:
                self._follow(active)
            return self._held

    def _follow(self, active: EncoderRow) -> None:
        if self._opening is not None:
            if self._opening.done():
                self._replace(self._opening, active)
                self._opening = None
        elif active.id != self._held.encoder_id and monotonic() >= self._retry_at:
            self._opening = self._opener.submit(self._open_engine, active)

    def _replace(self, opened: Future[SearchEngine], active: EncoderRow) -> None:
        error = opened.exception()
        if error is not None:
            self._retry_at = monotonic() + RETRY_AFTER_S
            label = self._held.encoder.spec.label
            log.error("the active encoder can't be opened, %s searches on: %s", label, error)
        elif opened.result().encoder_id == active.id:
            # The previous one is not closed, as a job may still use it: it is freed afterwards.
            self._held = opened.result()
            log.info("searching with %s", active.spec.label)
        else:
            opened.result().index.close()
