"""What the workers do, on a real database, store and index; only the network is a small one."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from db import jobs
from db.catalogue.listing_photos import (
    PhotoData,
    ensure_photos,
    set_photos,
)
from db.catalogue.listings import (
    ListingData,
    upsert_listings,
)
from db.jobs import Claim
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Encoder as EncoderRow
from db.tables import Job
from db.vectors.encoders import activate_encoder, adopt_encoder, register_encoder
from models.domain.errors import WeightsMissing
from models.domain.types import EncoderSpec, JobType
from models.encoders.encoder import Encoder
from models.photos import standardise
from tests.conftest import Clock
from tests.support.encoder import ThumbnailEncoder
from tests.support.pictures import jpeg
from workers.encoders.loaded import OpenEncoders
from workers.indexes.live import LiveIndex
from workers.queue.messages import Queue
from workers.runtime import Runtime, WorkerConfig
from workers.search.active_engine import Searcher, Side
from workers.tasks import run_job

LEASE = timedelta(seconds=60)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "took too long"
        time.sleep(0.01)


class Shelf:
    """The encoders that a machine has."""

    def __init__(self, *encoders: Encoder) -> None:
        self.encoders = {encoder.spec: encoder for encoder in encoders}

    def open(self, spec: EncoderSpec, threads: int) -> Encoder:
        del threads
        if spec not in self.encoders:
            raise WeightsMissing(f"{spec.label} is not here.")
        return self.encoders[spec]


@dataclass
class Workshop:
    """One worker's runtime, and short ways to give it work."""

    runtime: Runtime
    encoder: ThumbnailEncoder
    shelf: Shelf

    @property
    def database(self) -> Database:
        return self.runtime.database

    @property
    def searcher(self) -> Searcher:
        assert self.runtime.searcher
        return self.runtime.searcher

    @property
    def index(self) -> LiveIndex:
        index = self.searcher.side().index
        assert isinstance(index, LiveIndex)
        return index

    @property
    def encoder_id(self) -> int:
        return self.searcher.encoder_id

    def add_encoder(self, name: str) -> tuple[ThumbnailEncoder, int]:
        """Another encoder whose files are here, registered; and its id."""
        encoder = ThumbnailEncoder(name)
        self.shelf.encoders[encoder.spec] = encoder
        with self.database.write() as session:
            return encoder, register_encoder(session, encoder.spec, self.now())

    def activate(self, encoder_id: int, *, force: bool = False) -> None:
        """Change to an encoder, and wait until this worker searches with it."""
        with self.database.write() as session:
            activate_encoder(session, encoder_id, self.now(), force=force)
        wait_until(lambda: self.searcher.side().encoder_id == encoder_id)

    def now(self) -> Any:
        return Clock()()

    def list_photos(self, *photos: bytes, listing_id: UUID | None = None) -> tuple[UUID, list[int]]:
        """Store a listing with these photos; gives its id and theirs."""
        made = listing_id or uuid4()
        standard = [standardise(data) for data in photos]
        stored = [
            PhotoData(self.runtime.store.put(item.data), item.width, item.height)
            for item in standard
        ]
        with self.database.write() as session:
            upsert_listings(session, [ListingData(made, "A thing")], self.now())
            ids = ensure_photos(session, stored, self.now())
            photo_ids = [ids[item.sha256] for item in stored]
            set_photos(session, {made: photo_ids})
        return made, photo_ids

    def accept(self, job_type: JobType, payload: dict[str, Any]) -> UUID:
        with self.database.write() as session:
            return jobs.accept(
                session, job_type, payload, job_id=uuid4(), now=self.now(), total=1
            ).id

    def claim(self, job_id: UUID) -> Claim:
        with self.database.write() as session:
            owned = jobs.claim(session, job_id, self.now(), LEASE)
        assert owned
        return owned

    def do(self, job_type: JobType, payload: dict[str, Any]) -> Job:
        """Accept a job, do it as a task does, and give its row."""
        job_id = self.accept(job_type, payload)
        run_job(self.runtime, job_id)
        return self.job(job_id)

    def job(self, job_id: UUID) -> Job:
        with self.database.read() as session:
            return jobs.get(session, job_id)

    def embed(self, photo_ids: Sequence[int]) -> Job:
        return self.do(JobType.EMBED, {"photo_ids": list(photo_ids)})

    def search(self, seed: int, limit: int = 10) -> list[UUID]:
        """The listings found by a drawn picture, best first."""
        sha256 = self.runtime.store.put(standardise(jpeg(seed)).data)
        job = self.do(JobType.SEARCH, {"photo": sha256, "limit": limit})
        assert job.result, (job.error_code, job.error_detail)
        return [UUID(row["listing_id"]) for row in job.result["results"]]

    def reindex(self) -> Job:
        return self.do(JobType.REINDEX, {})


@pytest.fixture
def workshop(tmp_path: Path, any_database: Database, store: PhotoStore) -> Workshop:
    """A worker that can do every kind of job."""
    database, generations_dir = any_database, tmp_path / "generations"
    encoder = ThumbnailEncoder()
    shelf = Shelf(encoder)
    with database.write() as session:
        active = adopt_encoder(session, encoder.spec, Clock()())
    config = WorkerConfig(
        queue=Queue.SEARCH,
        database_url="",
        store_url="",
        generations_dir=generations_dir,
        models_dir=tmp_path / "models",
        encoder=encoder.spec.name,
        weights=None,
        threads=1,
        search_batch=None,
        index_url=None,
        lease=LEASE,
        max_attempts=3,
        recall_target=0.95,
        index_memory_bytes=2**30,
        keep_generations=2,
    )
    encoders = OpenEncoders(lambda spec: shelf.open(spec, threads=1))

    def open_side(row: EncoderRow) -> Side:
        index = LiveIndex(row.spec, row.id, generations_dir)
        return Side(row.id, shelf.open(row.spec, threads=1), index, batch=1)

    searcher = Searcher(database, open_side, open_side(active))
    return Workshop(Runtime(config, database, store, encoders, searcher), encoder, shelf)
