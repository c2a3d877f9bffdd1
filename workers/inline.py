"""Runs jobs in this process, without a broker and without workers."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from workers.config import WorkerConfig
from workers.queue.executors import RunJob
from workers.runtime import Runtime
from workers.tasks import run_job


@contextmanager
def inline_worker(config: WorkerConfig) -> Generator[RunJob]:
    """A function that runs one job of a queue, as that queue's worker would.

    Loads what that worker holds: the encoder, for the queue `embed`.
    """
    # Health would say that the queue is consumed, and other commands would wait for that.
    runtime = Runtime.start(replace(config, takes_messages=False))
    try:
        yield lambda job_id: run_job(runtime, job_id)
    finally:
        runtime.close()
