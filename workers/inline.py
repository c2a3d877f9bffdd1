"""Do jobs in this process, without a broker and without workers."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from uuid import UUID

from workers.runtime import Runtime, WorkerConfig
from workers.tasks import run_job


@contextmanager
def hands(config: WorkerConfig) -> Generator[Callable[[UUID], None]]:
    """A function that does one job of a queue, as that queue's worker does it.

    Loads what that worker holds: the model, for the queue `embed`.
    """
    runtime = Runtime.start(config)
    try:
        yield lambda job_id: run_job(runtime, job_id)
    finally:
        runtime.database.close()
