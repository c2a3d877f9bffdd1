"""A worker on a real database, store and index; only the network is a small one."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Encoder as EncoderRow
from db.vectors.encoders import activate_initial_encoder
from tests.support.clock import Clock
from tests.support.encoder import ThumbnailEncoder
from tests.support.redis import broker_at
from tests.support.workers import LEASE, FakeLibrary, WorkerHarness
from workers.config import IndexSettings, WorkerConfig
from workers.encoders.loaded import OpenEncoders
from workers.indexes.live import LiveIndex
from workers.indexes.live_columns import LiveColumns
from workers.indexes.open import Indexes
from workers.jobs.time_limit import TimeLimit
from workers.queue.announcements import Announcer
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher
from workers.queue.throttle import Throttle
from workers.recommending.whitenings import Whitenings
from workers.runtime import Runtime
from workers.saved_searches.matching import SavedSearchMatcher
from workers.search.active_engine import ActiveEngine, SearchEngine


@pytest.fixture
def worker(tmp_path: Path, any_database: Database, store: PhotoStore) -> WorkerHarness:
    """A worker that can do every kind of job."""
    database, generations_dir = any_database, tmp_path / "generations"
    encoder = ThumbnailEncoder()
    library = FakeLibrary(encoder)
    with database.write() as session:
        active = activate_initial_encoder(session, encoder.spec, Clock()())
    config = WorkerConfig(
        queue=Queue.SEARCH,
        concurrency=1,
        broker_url="memory://",
        database_url="",
        store_url="",
        models_dir=tmp_path / "models",
        encoder=encoder.spec.name,
        weights=None,
        auto_optimise=False,
        threads=1,
        search_batch=None,
        index_url=None,
        text_language="english",
        columns_file=tmp_path / "columns" / "listings.safetensors",
        photo_hosts=None,
        max_photo_bytes=20_000_000,
        photo_seconds=None,
        lease=LEASE,
        max_attempts=3,
        index=IndexSettings(generations_dir, recall_target=0.95, memory_bytes=2**30, keep=2),
    )
    encoders = OpenEncoders(lambda spec, _: library.open(spec, threads=1))

    def open_engine(row: EncoderRow) -> SearchEngine:
        index = LiveIndex(row.spec, row.id, generations_dir)
        return SearchEngine(row.id, library.open(row.spec, threads=1), index, batch=1)

    engine = ActiveEngine(database, open_engine, open_engine(active))
    indexes = Indexes(database, store, generations_dir, config.index_url)
    announcer = Announcer(broker_at(f"redis+socket://{tmp_path}/nobody.sock"))
    runtime = Runtime(
        config,
        database,
        store,
        encoders,
        indexes,
        engine,
        LiveColumns(database, config.columns_file),
        Whitenings(database),
        announcer,
        JobPublisher(broker_at(f"redis+socket://{tmp_path}/nobody.sock")),
        None,
        Throttle(0),
        ThreadPoolExecutor(1),
        None,
        SavedSearchMatcher(Clock(), config.text_language),
        TimeLimit(config.photo_seconds),
    )
    return WorkerHarness(runtime, encoder, library)
