"""Starts one worker: a Celery parent whose children each hold a runtime."""

import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing import Value
from time import sleep
from typing import Final

import psutil
from celery.signals import (
    setup_logging,
    task_received,
    worker_process_init,
    worker_process_shutdown,
)
from celery.worker import state

from command_line.exit_codes import awaiting
from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.clock import utc_now
from models.domain.errors import ExitCode, MarketlensError, exit_code_of, sentence_of
from models.domain.processes import tell_supervisor
from observability import traces
from observability.process import observe
from workers.config import WorkerConfig
from workers.encoders.active_encoder import ensure_active_encoder
from workers.queue.broker import CONSUMER_TRANSPORT, Broker, create_celery
from workers.queue.broker_check import check_broker
from workers.queue.messages import Queue
from workers.queue.waiting_messages import WaitingMessages
from workers.queue.watchdog import Watchdog, watched
from workers.runtime import Runtime
from workers.tasks import register_tasks

log = logging.getLogger(__name__)

NICENESS: Final = {Queue.SEARCH: 4, Queue.EMBED: 0, Queue.INDEX: 15}
"""Of a queue's processes. The API gets the cores first, as what it accepts keeps the others busy,
and then searches, as somebody waits for them. Embed workers lower the priority of the threads that
compute (`workers.jobs.embed`) and not of those that write."""

END_WITHIN_S: Final = 5.0
"""How long a worker that is stuck has to end as it does on SIGTERM."""


class Worker:
    """One worker of one queue. `run` blocks until SIGTERM."""

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._runtime: Runtime | None = None
        # Shared with the forked children: one that can't start stores its own here.
        self._exit_code = Value("b", 0)

    def run(self) -> int:
        """Consume until SIGTERM (which finishes the current task); returns the exit code.

        Raises WeightsError when it is the first to need weights and there are none, Unavailable
        when there is no database, and Misconfigured when the broker refuses to be one.
        """
        observe(f"{self._config.queue}-main", self._config.observing)
        broker = self._prepare()
        celery = create_celery(broker, CONSUMER_TRANSPORT)
        register_tasks(celery, self._current_runtime)
        # Strong references: bound methods that are referenced weakly are garbage-collected.
        setup_logging.connect(_logging_is_set_up, weak=False)
        worker_process_init.connect(self._start_child, weak=False)
        worker_process_shutdown.connect(self._stop_child, weak=False)
        with self._watched(WaitingMessages(broker)):
            celery.worker_main(
                [
                    "--quiet",  # no banner: the log has lines of one form
                    "worker",
                    f"--queues={self._config.queue}",
                    f"--hostname={self._config.queue}-{os.getpid()}@%h",
                    "--pool=prefork",
                    f"--concurrency={self._config.concurrency}",
                    "--without-gossip",
                    "--without-mingle",
                ]
            )
        return int(self._exit_code.value)

    @contextmanager
    def _watched(self, messages: WaitingMessages) -> Iterator[None]:
        """End this worker if it takes no messages although some wait, until the block ends."""
        watchdog = Watchdog(
            lambda: messages.length(self._config.queue),
            # Taken by this process, even if its child is still being started.
            lambda: bool(state.reserved_requests),
        )

        def see_message(**_: object) -> None:
            watchdog.see_message()

        task_received.connect(see_message, weak=False)
        with watched(watchdog, self._end):
            yield

    def _end(self) -> None:
        """End this process from another thread than its main one, which may be stuck as well."""
        self._exit_code.value = ExitCode.TRY_AGAIN
        os.kill(os.getpid(), signal.SIGTERM)
        sleep(END_WITHIN_S)
        for child in psutil.Process().children(recursive=True):
            child.kill()
        os._exit(ExitCode.TRY_AGAIN)

    def _prepare(self) -> Broker:
        """Done once, before the fork: otherwise each child would download the weights."""
        config = self._config
        with closing(Database(config.database_url)) as database:
            ensure_active_encoder(database, config.library, config.models_dir, utc_now())
            broker = Broker(config.broker_url, database)
            with awaiting(log):
                check_broker(broker)
            with awaiting(log):
                PhotoStore(config.store_url).check()
            return broker

    def _start_child(self, **_: object) -> None:
        """Load the model after the fork: a thread pool made before it would hang the child."""
        os.nice(NICENESS[self._config.queue])
        observe(self._config.queue, self._config.observing)
        try:
            self._runtime = Runtime.start(self._config)
            self._runtime.warm_up()
            tell_supervisor("READY=1", os.getppid())
        except MarketlensError as error:
            self._abort(f"marketlens: {sentence_of(error)}\n", exit_code_of(error))
        except Exception:  # noqa: BLE001 - whatever it was, this child can do no job
            self._abort(traceback.format_exc(), ExitCode.TRY_AGAIN)

    def _abort(self, message: str, code: ExitCode) -> None:
        """End the whole worker: Celery would log the error and keep a child that does no jobs."""
        self._exit_code.value = code
        sys.stderr.write(message)
        sys.stderr.flush()
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(code)

    def _stop_child(self, **_: object) -> None:
        if self._runtime is not None:
            self._runtime.close()
        traces.end()

    def _current_runtime(self) -> Runtime:
        if self._runtime is None:
            raise RuntimeError("tasks run in worker processes only")
        return self._runtime


def _logging_is_set_up(**_: object) -> None:
    """Celery leaves logging alone where somebody answers its signal."""
