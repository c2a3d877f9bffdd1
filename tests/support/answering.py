"""A search worker that answers questions about photos, for tests of those who ask."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

from db import jobs
from db.jobs import Claim
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.encoders import register_encoder
from models.domain.job_payloads import EmbeddingPayload, PredictionPayload, SearchPayload
from models.domain.job_results import JobResult
from models.domain.types import JobType
from tests.support.embedding import claim_queued, embed_for_real
from tests.support.encoder import ThumbnailEncoder
from workers.indexes.live import LiveIndex
from workers.jobs.embedding import run_embedding
from workers.jobs.prediction import run_prediction
from workers.jobs.search import run_search
from workers.search.query_encoder import QueryEncoder


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
        self._index = LiveIndex(self.encoder.spec, self._encoder_id, generations_dir)

    def embed_listings(self) -> None:
        """Do every queued embed job."""
        embed_for_real(self._database, self._store, self.encoder, now())

    def answer(self) -> None:
        """Do every queued embedding, prediction and search."""
        for kind in (JobType.EMBEDDING, JobType.PREDICTION, JobType.SEARCH):
            with self._database.write() as session:
                claims = claim_queued(session, kind, now())
            for claim in claims:
                result = self._result(claim)
                with self._database.write() as session:
                    jobs.finish(session, claim, now(), result=result, done=1)

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

    def _result(self, claim: Claim) -> JobResult:
        encoder = QueryEncoder(self._database, self._store, self.encoder, self._encoder_id)
        payload = claim.payload
        if isinstance(payload, EmbeddingPayload):
            return run_embedding(claim, payload, encoder=encoder, clock=now)
        if isinstance(payload, SearchPayload):
            return run_search(
                claim,
                payload,
                database=self._database,
                encoder=encoder,
                index=self._index,
                clock=now,
            )
        assert isinstance(payload, PredictionPayload)
        return run_prediction(
            claim,
            payload,
            database=self._database,
            store=self._store,
            encoder=encoder,
            index=self._index,
            head=None,
            clock=now,
        )
