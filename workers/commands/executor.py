"""Who does the jobs that a command has accepted, with and without `--inline`."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial

from db.session import Database
from models.domain.clock import utc_now
from settings import Settings
from workers.app import worker_config
from workers.queue.executors import Hands, ThisProcess, Workers
from workers.queue.publisher import JobPublisher


def executor_of(
    stack: ExitStack,
    database: Database,
    settings: Settings,
    say: Callable[[str], None],
    *,
    inline: bool,
) -> Hands:
    """This process, or the workers of the queue; `stack` closes what is opened for it."""
    if inline:
        config_of = partial(worker_config, settings, concurrency=1)
        return stack.enter_context(ThisProcess(database, config_of, utc_now))
    publisher = stack.enter_context(closing(JobPublisher(settings.broker_url)))
    return Workers(database, publisher, utc_now, say)
