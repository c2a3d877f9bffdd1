"""The index of one search worker, kept in step with the database."""

import logging
from pathlib import Path

import numpy as np
from sqlalchemy.orm import Session

from db import generations
from db.changes import changes_after
from db.embeddings import live_vectors_of
from db.tables import Generation as GenerationRow
from models.domain import EncoderSpec
from models.errors import GenerationCorrupt
from models.index.generation import open_generation
from models.index.serve import VectorIndex

log = logging.getLogger(__name__)

CHANGES_PER_READ = 2_000


class LiveIndex:
    """The live generation, and on top of it every change committed since.

    `sync` before a search makes the search see all that was committed before it.
    """

    def __init__(self, spec: EncoderSpec, encoder_id: int, generations_dir: Path) -> None:
        self.index = VectorIndex(spec.dimension)
        self.generation_id: int | None = None
        self._spec = spec
        self._encoder_id = encoder_id
        self._generations_dir = generations_dir
        self._seen_change = 0
        self._wanted: int | None = None

    def sync(self, session: Session) -> None:
        """Take over a new live generation, then the changes that it does not hold."""
        self._follow_generation(session)
        while True:
            number, photo_ids = changes_after(session, self._seen_change, CHANGES_PER_READ)
            if not photo_ids:
                return
            ids, vectors = live_vectors_of(session, self._encoder_id, photo_ids)
            live = set(ids.tolist())
            gone = [photo_id for photo_id in photo_ids if photo_id not in live]
            self.index.remove(np.array(gone, np.int64))
            if live:
                self.index.upsert(ids, vectors)
            self._seen_change = number

    def _follow_generation(self, session: Session) -> None:
        usable = generations.usable(session, self._encoder_id)
        wanted = usable[0].id if usable else None
        if wanted == self._wanted:
            return
        for row in usable:
            if row.id == self.generation_id or self._take(row):
                break
        # Also when it could not be opened: trying again at every search would help nobody.
        self._wanted = wanted

    def _take(self, row: GenerationRow) -> bool:
        """Serve from this generation; a damaged one is refused and the one before it serves on."""
        try:
            generation = open_generation(
                self._generations_dir / str(row.id),
                row.manifest_sha256,
                fingerprint=self._spec.fingerprint,
            )
        except GenerationCorrupt:
            log.exception("generation %s is refused", row.id)
            return False
        self.index.swap(generation)
        self.generation_id = row.id
        self._seen_change = generation.manifest.last_change
        log.info("serving generation %s, %s rows", row.id, generation.manifest.rows)
        return True
