"""What one worker process holds in memory. Built after the fork."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Encoder as EncoderRow
from models.domain.clock import utc_now
from models.encoders.batching import best_batch
from models.encoders.library import EncoderLibrary
from models.index.faiss_index import set_threads
from workers.encoders.bootstrap import settle_encoder, wish
from workers.encoders.loaded import OpenEncoders, encoders_for
from workers.indexes.open import Indexes
from workers.queue.messages import Queue
from workers.search.active_engine import Searcher, Side

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """The values a worker needs. `encoder` and `weights` are what the settings ask for."""

    queue: Queue
    database_url: str
    store_url: str
    generations_dir: Path
    models_dir: Path
    encoder: str
    weights: Path | None
    threads: int
    search_batch: int | None
    index_url: str | None
    lease: timedelta
    max_attempts: int
    recall_target: float
    index_memory_bytes: int
    keep_generations: int

    @property
    def library(self) -> EncoderLibrary:
        """The encoders whose files this machine has."""
        return EncoderLibrary(self.encoder, self.weights, self.models_dir)


@dataclass(frozen=True, slots=True)
class Runtime:
    """One worker process: connections, and the encoders and the index that its queue needs."""

    config: WorkerConfig
    database: Database
    store: PhotoStore
    encoders: OpenEncoders
    searcher: Searcher | None

    @property
    def indexes(self) -> Indexes:
        """Opens what encoders' vectors are searched in."""
        config = self.config
        return Indexes(self.database, self.store, config.generations_dir, config.index_url)

    @classmethod
    def start(cls, config: WorkerConfig) -> "Runtime":
        """Connect, and open what searches need. Takes seconds and hundreds of megabytes."""
        database = Database(config.database_url)
        active = settle_encoder(database, config.library, config.models_dir, utc_now())
        # One search scans faster on one thread than on many that other processes interrupt.
        set_threads(1 if config.queue is Queue.SEARCH else config.threads)
        encoders = OpenEncoders(config.library, config.threads)
        store = PhotoStore(config.store_url)
        searcher = None
        if config.queue is Queue.SEARCH:
            indexes = Indexes(database, store, config.generations_dir, config.index_url)
            searcher = _searcher(config, database, indexes, active)
        label = active.spec.label
        log.info("ready: queue %s, encoder %s, %s threads", config.queue, label, config.threads)
        if wanted := wish(active.spec, config.library, config.encoder, config.weights):
            log.warning(wanted)
        return cls(config, database, store, encoders, searcher)

    def warm_up(self) -> None:
        """Load what an embed job will need, before there is one. Raises WeightsError."""
        if self.config.queue is Queue.EMBED:
            encoders_for({}, self.database, self.encoders)

    @property
    def encoder_id(self) -> int | None:
        """The encoder that this process searches with, None if it does not."""
        return self.searcher.encoder_id if self.searcher else None


def _searcher(
    config: WorkerConfig, database: Database, indexes: Indexes, active: EncoderRow
) -> Searcher:
    def open_side(row: EncoderRow) -> Side:
        # No encoder but the side's is held: two are in memory only while one gives way.
        encoder = OpenEncoders(config.library, config.threads).get(row.spec)
        index = indexes.open(row)
        with database.read() as session:
            index.sync(session)
        return Side(row.id, encoder, index, config.search_batch or best_batch(encoder))

    return Searcher(database, open_side, open_side(active))
