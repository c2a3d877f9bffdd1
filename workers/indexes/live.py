"""The index of one search worker, kept in step with the database."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from sqlalchemy.orm import Session

from db.retention.removed import ChangesMissed
from db.vectors import generations
from db.vectors.changes import last_change
from db.vectors.embeddings import live_vectors
from models.domain.errors import GenerationCorrupt
from models.domain.types import EncoderSpec
from models.index.generation import Generation, open_generation
from models.index.vector_index import VectorIndex
from workers.indexes.following import IndexCounts
from workers.indexes.replay import replay

log = logging.getLogger(__name__)

# How long a search waits for a new generation: by then, small ones are open.
MAX_OPEN_WAIT_S = 0.25
RETRY_AFTER_S = 30.0


class Candidate(NamedTuple):
    """A generation that could serve, and the hash of its manifest."""

    id: int
    manifest_sha256: str | None


class Opened(NamedTuple):
    """The id of the preferred generation, and the first that could be opened, if any."""

    wanted: int | None
    id: int | None
    generation: Generation | None


class LiveIndex:
    """The live generation, with every change committed since applied on top.

    `sync` before a search makes the search see all that was committed before it. A new generation
    is verified and opened in a thread of its own, and searches go on with the previous one
    meanwhile. `fetch` downloads a generation that is not on this machine.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        encoder_id: int,
        generations_dir: Path,
        fetch: Callable[[Candidate], None] = lambda _: None,
    ) -> None:
        self.index = VectorIndex(spec.dimension)
        self.generation_id: int | None = None
        self._spec = spec
        self._encoder_id = encoder_id
        self._generations_dir = generations_dir
        self._fetch = fetch
        self._seen_change = 0
        self._wanted: int | None = None
        self._opener = ThreadPoolExecutor(1, "open-generation")
        self._opening: Future[Opened] | None = None
        self._ready = False
        self._retry_at = 0.0

    @property
    def counts(self) -> IndexCounts:
        """How many photos it holds."""
        return IndexCounts(self.index.rows, self.index.fresh_count, self.index.tombstone_count)

    def sync(self, session: Session) -> None:
        """Take over a new live generation, then the changes that it does not hold."""
        self._follow_generation(session)
        try:
            self._replay(session)
        except ChangesMissed:
            self._catch_up(session)
        self._ready = True

    def close(self) -> None:
        """Stop the thread. Generations stay open until nothing refers to them."""
        self._opener.shutdown(wait=False, cancel_futures=True)

    def _replay(self, session: Session) -> None:
        self._seen_change = replay(session, self.index, self._encoder_id, self._seen_change)

    def _catch_up(self, session: Session) -> None:
        """Wait for the live generation: what this index lacks is not told any more.

        Where there is none that can be opened, all live vectors are read.
        """
        self._ready, self._wanted = False, None
        self._follow_generation(session)
        try:
            self._replay(session)
        except ChangesMissed:
            log.warning("the index lacks changes that are not kept: all vectors are read")
            self.index.swap(None)
            self.generation_id = None
            # Before the vectors: a change in between is applied twice.
            self._seen_change = last_change(session)
            for ids, vectors in live_vectors(lambda: nullcontext(session), self._encoder_id):
                self.index.upsert(ids, vectors)

    def _follow_generation(self, session: Session) -> None:
        usable = [
            Candidate(row.id, row.manifest_sha256)
            for row in generations.usable(session, self._encoder_id)
        ]
        wanted = usable[0].id if usable else None
        timeout: float | None = 0.0
        if self._opening is None:
            if wanted == self._wanted or monotonic() < self._retry_at:
                return
            self._opening = self._opener.submit(self._open_first, usable)
            # There is nothing to search with until the first one is open.
            timeout = MAX_OPEN_WAIT_S if self._ready else None
        if wait([self._opening], timeout).done:
            opened, self._opening = self._opening, None
            self._swap_in(opened, {candidate.id for candidate in usable})

    def _open_first(self, usable: Sequence[Candidate]) -> Opened:
        """Open the first that is not damaged; the one that is open already is kept."""
        wanted = usable[0].id if usable else None
        for candidate in usable:
            if candidate.id == self.generation_id:
                return Opened(wanted, candidate.id, None)
            try:
                self._fetch(candidate)
                generation = open_generation(
                    self._generations_dir / str(candidate.id),
                    candidate.manifest_sha256,
                    fingerprint=self._spec.fingerprint,
                )
            except GenerationCorrupt:
                log.exception("generation %s is refused", candidate.id)
            else:
                return Opened(wanted, candidate.id, generation)
        return Opened(wanted, None, None)

    def _swap_in(self, opening: Future[Opened], usable: set[int]) -> None:
        error = opening.exception()
        if error is not None:
            if not self._ready:
                raise error
            self._retry_at = monotonic() + RETRY_AFTER_S
            log.error("a generation can't be opened, trying again later: %s", error)
            return
        opened = opening.result()
        # Also when it could not be opened, so that not every search tries again.
        self._wanted = opened.wanted
        if opened.generation is None or opened.id not in usable:
            return
        self.index.swap(opened.generation)
        self.generation_id = opened.id
        self._seen_change = opened.generation.manifest.last_change
        log.info("serving generation %s, %s rows", opened.id, opened.generation.manifest.rows)
