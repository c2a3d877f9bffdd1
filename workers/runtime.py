"""What one worker process holds in memory. Built after the fork."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from threadpoolctl import threadpool_limits

from db.session import Database
from db.store.photo_store import PhotoStore
from db.store.photo_urls import PhotoUrls
from db.tables import Encoder as EncoderRow
from models.decoder_process import PATIENCE_S, DecoderProcess
from models.domain.types import EncoderSpec
from models.encoders.batching import best_batch
from models.encoders.encoder import Encoder
from models.encoders.first_export import export_once
from models.encoders.runtimes import open_encoder
from models.index.faiss_index import set_threads
from workers.config import WorkerConfig
from workers.embedding.time_limit import TimeLimit
from workers.encoders.active_encoder import encoder_mismatch_warning, ensure_active_encoder
from workers.encoders.loaded import OpenEncoders, encoders_for
from workers.fetching.photo_fetcher import NICENESS as FETCHER_NICENESS
from workers.fetching.photo_fetcher import FetchLimits, PhotoFetcher
from workers.indexes.live_columns import LiveColumns
from workers.indexes.open import Indexes
from workers.jobs.embed import ENCODER_THREADS
from workers.queue.announcements import Announcer
from workers.queue.broker import Broker
from workers.queue.messages import Queue
from workers.queue.owner import this_process
from workers.queue.publisher import JobPublisher
from workers.queue.throttle import Throttle
from workers.recommending.whitenings import Whitenings
from workers.saved_searches.matching import SavedSearchMatcher
from workers.search.active_engine import ActiveEngine, SearchEngine

log = logging.getLogger(__name__)

RECORD_CONSUMPTION_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Runtime:
    """One worker process: connections, and the encoders and the index that its queue needs."""

    config: WorkerConfig
    database: Database
    store: PhotoStore
    encoders: OpenEncoders
    indexes: Indexes
    engine: ActiveEngine | None
    columns: LiveColumns
    whitenings: Whitenings
    announcer: Announcer
    publisher: JobPublisher
    fetcher: PhotoFetcher | None
    """Fetches photos at URLs, beside those who embed."""
    consumption: Throttle
    helpers: ThreadPoolExecutor
    """More threads for queries."""
    owner: str | None
    matcher: SavedSearchMatcher
    time_limit: TimeLimit

    @classmethod
    def start(cls, config: WorkerConfig) -> "Runtime":
        """Connect, and open what searches need. Takes seconds and hundreds of megabytes."""
        database = Database(config.database_url)
        active = ensure_active_encoder(database, config.library, config.models_dir, database.now())
        _share_cores(config)
        encoders = OpenEncoders(partial(_open_encoder, config))
        store = PhotoStore(config.store_url)
        store.remember()
        indexes = Indexes(database, store, config.index.generations_dir, config.index_url)
        columns = LiveColumns(database, config.columns_file)
        engine, whitenings = None, Whitenings(database)
        if config.queue is Queue.SEARCH:
            engine = _active_engine(config, database, indexes, active)
            columns.begin()
            whitenings.begin(active.id)
        label = active.spec.label
        log.info("ready: queue %s, encoder %s, %s threads", config.queue, label, config.threads)
        if wanted := encoder_mismatch_warning(
            active.spec, config.library, config.encoder, config.weights
        ):
            log.warning(wanted)
        broker = Broker(config.broker_url, database)
        consumption = Throttle(RECORD_CONSUMPTION_EVERY_S)
        # A command that does jobs by itself needs no broker.
        missed = logging.WARNING if config.takes_messages else logging.DEBUG
        announcer, publisher = Announcer(broker, missed), JobPublisher(broker)
        fetcher = None
        if config.queue is Queue.EMBED:
            fetcher = _photo_fetcher(config, database, store, announcer, publisher)
        return cls(
            config,
            database,
            store,
            encoders,
            indexes,
            engine,
            columns,
            whitenings,
            announcer,
            publisher,
            fetcher,
            consumption,
            ThreadPoolExecutor(None, "queries", _share_cores, (config,)),
            this_process(),
            SavedSearchMatcher(database.now, config.text_language),
            TimeLimit(config.photo_seconds),
        )

    def warm_up(self) -> None:
        """Load what an embed job will need, before there is one. Raises WeightsError."""
        if self.config.queue is Queue.EMBED:
            encoders_for(None, self.database, self.encoders)

    def close(self) -> None:
        """Hand back what is being fetched, and disconnect."""
        if self.fetcher is not None:
            self.fetcher.stop()
        self.columns.close()
        self.whitenings.close()
        self.database.close()

    @property
    def encoder_id(self) -> int | None:
        """The encoder that this process searches with, None if it does not."""
        return self.engine.encoder_id if self.engine else None


def _share_cores(config: WorkerConfig) -> None:
    """Limit the threads of FAISS and of numpy's products; encoders get `config.threads`."""
    # One search scans faster on one thread than on many that other processes interrupt.
    set_threads(1 if config.queue is Queue.SEARCH else config.threads)
    # OpenBLAS's threads spin for milliseconds after each product and take a core from the encoder,
    # which with int8 makes it 1.4 times as slow. Only learning has products that are worth it.
    threadpool_limits(config.threads if config.queue is Queue.INDEX else 1, user_api="blas")


def _photo_fetcher(
    config: WorkerConfig,
    database: Database,
    store: PhotoStore,
    announcer: Announcer,
    publisher: JobPublisher,
) -> PhotoFetcher:
    return PhotoFetcher(
        database,
        store,
        None if config.photo_hosts is None else PhotoUrls(config.photo_hosts),
        limits=FetchLimits(config.max_photo_bytes, config.lease, config.max_attempts),
        clock=database.now,
        publish=publisher.publish,
        announce=announcer.announce,
        # What kills or hangs that process fails alone.
        decode=DecoderProcess(FETCHER_NICENESS, config.photo_seconds or PATIENCE_S).standardise,
    )


def _active_engine(
    config: WorkerConfig, database: Database, indexes: Indexes, active: EncoderRow
) -> ActiveEngine:
    def open_engine(row: EncoderRow) -> SearchEngine:
        # Only the engine keeps its encoder: two are in memory only while the active one changes.
        encoder = OpenEncoders(partial(_open_encoder, config)).get(row.spec)
        index = indexes.open(row)
        with database.read() as session:
            index.sync(session)
        return SearchEngine(row.id, encoder, index, config.search_batch or best_batch(encoder))

    return ActiveEngine(database, open_engine, open_engine(active))


def _open_encoder(
    config: WorkerConfig, spec: EncoderSpec, open_base: Callable[[EncoderSpec], Encoder]
) -> Encoder:
    """One of the machine's encoders, not loaded yet. Raises WeightsError."""
    if config.auto_optimise and (outcome := export_once(config.models_dir, spec, config.threads)):
        log.info(outcome)
    threads = config.threads
    if config.queue is Queue.EMBED:
        # Those that embed compute themselves: threads of the encoder would have another priority.
        threads = max(1, threads // ENCODER_THREADS)
    return open_encoder(config.library, spec, threads, open_base)
