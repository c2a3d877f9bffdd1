"""What one worker process holds in memory. Built after the fork."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from db.embeddings import register_encoder
from db.photos import PhotoStore
from db.session import Database
from models.domain import EncoderSpec
from models.encoders.base import Encoder
from models.encoders.factory import create_encoder
from models.index.engine import set_threads
from workers.contracts import Queue
from workers.live_index import LiveIndex

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """The values a worker needs, resolved before any process is forked."""

    queue: Queue
    database_url: str
    store_url: str
    generations_dir: Path
    encoder: str
    weights: Path | None
    spec: EncoderSpec
    threads: int
    lease: timedelta
    max_attempts: int
    recall_target: float
    keep_generations: int


@dataclass(frozen=True, slots=True)
class Runtime:
    """One worker process: connections, and the model and index that its queue needs."""

    config: WorkerConfig
    database: Database
    store: PhotoStore
    encoder_id: int
    encoder: Encoder | None
    index: LiveIndex | None

    @classmethod
    def start(cls, config: WorkerConfig) -> "Runtime":
        """Connect, load the model and the index. Takes seconds and hundreds of megabytes."""
        database = Database(config.database_url)
        with database.write() as session:
            encoder_id = register_encoder(session, config.spec, datetime.now(UTC))
        # One search scans faster on one thread than on many that other processes interrupt.
        set_threads(1 if config.queue is Queue.SEARCH else config.threads)
        encoder = None
        if config.queue in {Queue.SEARCH, Queue.EMBED}:
            encoder = create_encoder(config.encoder, config.weights, config.threads)
            encoder.load()
        index = None
        if config.queue is Queue.SEARCH:
            index = LiveIndex(config.spec, encoder_id, config.generations_dir)
            with database.read() as session:
                index.sync(session)
        log.info(
            "ready: queue %s, encoder %s, %s threads",
            config.queue,
            config.spec.label,
            config.threads,
        )
        return cls(config, database, PhotoStore(config.store_url), encoder_id, encoder, index)
