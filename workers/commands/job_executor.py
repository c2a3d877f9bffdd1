"""The executor of a command's jobs: the queue's workers or, with `--inline`, this process."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, contextmanager

from db.session import Database
from settings import Settings
from workers.config import worker_config
from workers.queue.broker import Broker
from workers.queue.broker_check import check_configured_broker
from workers.queue.executors import InlineExecutor, JobExecutor, QueueExecutor, RunJob
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher


@contextmanager
def job_executor(
    database: Database,
    settings: Settings,
    say: Callable[[str], None],
    *,
    inline: bool,
    has_jobs: bool = True,
) -> Generator[JobExecutor]:
    """The executor of a command's jobs; `say` is called with messages for the user.

    If the command `has_jobs` for the queue, a broker that the settings name must be reachable:
    raises Unavailable and Misconfigured before anything is accepted. A private one may be started
    later.
    """
    if inline:

        def open_worker(queue: Queue) -> AbstractContextManager[RunJob]:
            # Imported here: torch and faiss are for the process that computes.
            from workers.inline import inline_worker  # noqa: PLC0415

            return inline_worker(worker_config(settings, queue))

        with InlineExecutor(database, open_worker, database.now) as executor:
            yield executor
    else:
        if has_jobs:
            check_configured_broker(settings.redis_url, database)
        broker = Broker(settings.broker_url, database)
        with closing(JobPublisher(broker)) as publisher:
            yield QueueExecutor(database, publisher, database.now, say)
