"""What a worker does, on a real database, store and index; only the network is a small one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from db.catalogue.listings import ListingData, delete_listing
from db.jobs import accepting, claiming, reading
from db.jobs.claiming import Claim
from db.session import Database
from db.tables import Generation, Job
from db.vectors import generations
from db.vectors.encoders import activate_encoder, register_encoder
from models.domain.errors import WeightsMissing
from models.domain.job_payloads import parse_payload
from models.domain.job_results.searches import SearchResult
from models.domain.types import EncoderSpec, JobStatus, JobType
from models.encoders.encoder import Encoder
from models.photo_decoding import standardise
from tests.support.catalogue import add_listing, stored_photos
from tests.support.clock import Clock
from tests.support.encoder import ThumbnailEncoder
from tests.support.payloads import result_as
from tests.support.pictures import jpeg
from tests.support.waiting import wait_until
from workers.indexes.live import LiveIndex
from workers.runtime import Runtime
from workers.search.active_engine import ActiveEngine
from workers.tasks import run_job

LEASE = timedelta(seconds=60)


class FakeLibrary:
    """The encoders that a machine has."""

    def __init__(self, *encoders: Encoder) -> None:
        self.encoders = {encoder.spec: encoder for encoder in encoders}

    def open(self, spec: EncoderSpec, threads: int) -> Encoder:
        del threads
        if spec not in self.encoders:
            raise WeightsMissing(f"{spec.label} is not here.")
        return self.encoders[spec]


@dataclass
class WorkerHarness:
    """One worker's runtime, and short ways to give it work."""

    runtime: Runtime
    encoder: ThumbnailEncoder
    library: FakeLibrary

    @property
    def database(self) -> Database:
        return self.runtime.database

    @property
    def engine(self) -> ActiveEngine:
        assert self.runtime.engine
        return self.runtime.engine

    @property
    def index(self) -> LiveIndex:
        index = self.engine.current().index
        assert isinstance(index, LiveIndex)
        return index

    @property
    def encoder_id(self) -> int:
        return self.engine.encoder_id

    def add_encoder(self, name: str) -> tuple[ThumbnailEncoder, int]:
        """Another encoder whose files are here, registered; and its id."""
        encoder = ThumbnailEncoder(name)
        self.library.encoders[encoder.spec] = encoder
        with self.database.write() as session:
            return encoder, register_encoder(session, encoder.spec, self.now())

    def activate(self, encoder_id: int, *, force: bool = False) -> None:
        """Change to an encoder, and wait until this worker searches with it."""
        with self.database.write() as session:
            activate_encoder(session, encoder_id, self.now(), force=force)
        wait_until(lambda: self.engine.current().encoder_id == encoder_id)

    def now(self) -> Any:
        return Clock()()

    def list_photos(
        self,
        *photos: bytes,
        listing_id: UUID | None = None,
        listing: ListingData | None = None,
    ) -> tuple[UUID, list[int]]:
        """Store a listing with these photos; gives its id and theirs."""
        listing = listing or ListingData(listing_id or uuid4(), "A thing")
        stored = stored_photos(self.runtime.store, *photos)
        with self.database.write() as session:
            return add_listing(session, stored, self.now(), listing=listing)

    def list_pictures(self, *seeds: int) -> UUID:
        """Store a listing with these drawn pictures, and embed them; gives its id."""
        listing_id, photo_ids = self.list_photos(*(jpeg(seed) for seed in seeds))
        assert self.embed(photo_ids).status is JobStatus.SUCCEEDED
        return listing_id

    def list_pictures_of(self, listing: ListingData, *seeds: int) -> None:
        """Store this listing with drawn pictures, and embed them."""
        _, photo_ids = self.list_photos(*(jpeg(seed) for seed in seeds), listing=listing)
        assert self.embed(photo_ids).status is JobStatus.SUCCEEDED

    def delete(self, listing_id: UUID) -> None:
        with self.database.write() as session:
            delete_listing(session, listing_id, self.now())

    def generations(self) -> list[Generation]:
        """Every generation, the newest first."""
        with self.database.read() as session:
            return list(generations.all_generations(session, 100))

    def accept(self, job_type: JobType, stored: dict[str, Any]) -> UUID:
        """Accept a job whose payload is stored so."""
        payload = parse_payload(job_type, stored)
        with self.database.write() as session:
            return accepting.accept(session, payload, job_id=uuid4(), now=self.now(), total=1).id

    def claim(self, job_id: UUID) -> Claim:
        with self.database.write() as session:
            owned = claiming.claim(session, job_id, self.now(), LEASE)
        assert owned
        return owned

    def do(self, job_type: JobType, payload: dict[str, Any]) -> Job:
        """Accept a job, do it as a task does, and give its row."""
        job_id = self.accept(job_type, payload)
        run_job(self.runtime, job_id)
        return self.job(job_id)

    def job(self, job_id: UUID) -> Job:
        with self.database.read() as session:
            return reading.get(session, job_id)

    def embed(self, photo_ids: Sequence[int]) -> Job:
        return self.do(JobType.EMBED, {"photo_ids": list(photo_ids)})

    def search(self, seed: int, limit: int = 10) -> list[UUID]:
        """The listings found by a drawn picture, best first."""
        sha256 = self.runtime.store.put(standardise(jpeg(seed)).data)
        job = self.do(JobType.SEARCH, {"photo": sha256, "limit": limit})
        return [row.listing_id for row in result_as(job, SearchResult).results]

    def reindex(self) -> Job:
        return self.do(JobType.REINDEX, {})
