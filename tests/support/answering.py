"""A search worker that answers questions about photos, for tests of those who ask."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

from db.jobs import attempts
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.encoders import activate_encoder, register_encoder
from models.domain.types import JobType
from tests.support.embedding import claim_queued, embed_for_real
from tests.support.encoder import ThumbnailEncoder
from workers.indexes.live import LiveIndex
from workers.indexes.live_columns import LiveColumns
from workers.jobs.queries import QueryTools, answer_queries
from workers.recommending.whitenings import Whitenings
from workers.search.active_engine import SearchEngine


def now() -> datetime:
    return datetime.now(UTC)


class Answerer:
    """Does what is queued, on a real database and store."""

    def __init__(self, database: Database, store: PhotoStore, generations_dir: Path) -> None:
        self.encoder = ThumbnailEncoder()
        self._database = database
        self._store = store
        with database.write() as session:
            self._encoder_id = register_encoder(session, self.encoder.spec, now())
        index = LiveIndex(self.encoder.spec, self._encoder_id, generations_dir)
        self._engine = SearchEngine(self._encoder_id, self.encoder, index, batch=1)
        models_dir = generations_dir.parent / "models"
        self._tools = QueryTools(
            database, store, models_dir, now, LiveColumns(database), Whitenings(database)
        )

    def activate(self) -> None:
        """Make the encoder the active one, which every photo is to be embedded by."""
        with self._database.write() as session:
            activate_encoder(session, self._encoder_id, now(), force=True)

    def embed_listings(self) -> None:
        """Do every queued embed job."""
        embed_for_real(self._database, self._store, self.encoder, now())

    def answer(self) -> None:
        """Do every queued embedding, prediction, search and recommendation."""
        for kind in (JobType.EMBEDDING, JobType.PREDICTION, JobType.SEARCH, JobType.RECOMMENDATION):
            with self._database.write() as session:
                claims = claim_queued(session, kind, now())
            for claim, answer in answer_queries(claims, self._engine, self._tools).answers:
                if isinstance(answer, Exception):
                    raise answer
                with self._database.write() as session:
                    attempts.finish(session, claim, now(), result=answer, done=1)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Answer in the background, until the block ends."""
        stop = Event()

        def work() -> None:
            while not stop.wait(0.02):
                self.answer()

        thread = Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
