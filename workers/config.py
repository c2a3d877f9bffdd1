"""The values that workers need, taken out of the settings."""

import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from models.encoders.library import EncoderLibrary
from models.index.plan import default_memory_bytes
from models.text.languages import TextLanguage
from observability.options import Observing
from settings import Settings
from workers.queue.messages import Queue


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Where generations are built, and what is asked of them.

    `recall_target` is the least recall@10, `memory_bytes` what the parts of an index that most
    searches read may take, `keep` how many generations of an encoder are kept, the live one
    included.
    """

    generations_dir: Path
    recall_target: float
    memory_bytes: int
    keep: int


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What the worker of one queue needs. `encoder` and `weights` are what the settings ask for.

    With `auto_optimise`, networks are exported when they are first opened. `threads` are the
    compute threads of each of its `concurrency` processes. `photo_hosts` are those that may
    have private addresses, where photos are fetched from URLs that callers of the API name; None
    where none are. A photo has at most `max_photo_bytes`, and to decode or embed
    it may take `photo_seconds`. One that `takes_messages` consumes its queue; a command that does
    jobs by itself does not.
    """

    queue: Queue
    concurrency: int
    broker_url: str
    database_url: str
    store_url: str
    models_dir: Path
    encoder: str
    weights: Path | None
    auto_optimise: bool
    threads: int
    search_batch: int | None
    index: IndexSettings
    index_url: str | None
    columns_file: Path
    text_language: TextLanguage
    photo_hosts: tuple[str, ...] | None
    max_photo_bytes: int
    photo_seconds: float | None
    lease: timedelta
    max_attempts: int
    observing: Observing = field(default_factory=Observing)
    slow_job_s: float = 2.0
    takes_messages: bool = True

    @property
    def library(self) -> EncoderLibrary:
        """The encoders whose files this machine has."""
        return EncoderLibrary(self.encoder, self.weights, self.models_dir)


def worker_config(settings: Settings, queue: Queue, concurrency: int = 1) -> WorkerConfig:
    """The values that the worker of a queue needs."""
    cores = len(os.sched_getaffinity(0))
    return WorkerConfig(
        queue=queue,
        concurrency=concurrency,
        broker_url=settings.broker_url,
        database_url=settings.sqlalchemy_url,
        store_url=settings.photo_store_url,
        models_dir=settings.models_dir,
        encoder=settings.encoder,
        weights=settings.weights,
        auto_optimise=settings.auto_optimise,
        # Each process' thread pools get their share: more threads than cores slow all down.
        threads=settings.threads or max(1, cores // concurrency),
        search_batch=settings.search_batch,
        index=IndexSettings(
            generations_dir=settings.generations_dir,
            recall_target=settings.recall_target,
            memory_bytes=settings.index_memory_bytes or default_memory_bytes(),
            keep=settings.keep_generations,
        ),
        index_url=settings.index_url,
        columns_file=settings.columns_file,
        text_language=settings.text_language,
        photo_hosts=settings.allowed_photo_hosts if settings.photo_urls == "all" else None,
        max_photo_bytes=settings.max_upload_bytes,
        photo_seconds=settings.photo_seconds,
        lease=timedelta(seconds=settings.lease_seconds),
        max_attempts=settings.max_attempts,
        observing=settings.observing,
        slow_job_s=settings.slow_job_seconds,
    )
