"""Starts one worker: a Celery parent whose children each hold a runtime."""

import logging
import os
import signal
import sys
import traceback
from contextlib import closing
from multiprocessing import Value
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown

from db.session import Database
from models.domain.clock import utc_now
from models.domain.errors import ExitCode, MarketlensError, exit_code_of
from workers.config import WorkerConfig
from workers.encoders.bootstrap import settle_encoder
from workers.queue.broker import CONSUMER_TRANSPORT, create_celery
from workers.runtime import Runtime
from workers.tasks import register_tasks

log = logging.getLogger(__name__)


class Worker:
    """One worker of one queue. `run` blocks until it is told to stop."""

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._celery: Celery = create_celery(config.broker_url, CONSUMER_TRANSPORT)
        self._runtime: Runtime | None = None
        # Shared with the children, which are forked: one that can't start says so here.
        self._start_failed = Value("b", 0)
        register_tasks(self._celery, self._held)

    def run(self) -> int:
        """Consume until SIGTERM (which finishes the task in hand); returns the exit code.

        Raises WeightsError when it is the first to need weights and there are none.
        """
        self._settle()
        # Receivers are kept strongly: Celery would let bound methods be collected.
        setup_logging.connect(self._set_up_logging, weak=False)
        worker_process_init.connect(self._start_child, weak=False)
        worker_process_shutdown.connect(self._stop_child, weak=False)
        self._celery.worker_main(
            [
                "worker",
                f"--queues={self._config.queue}",
                f"--hostname={self._config.queue}-{os.getpid()}@%h",
                "--pool=prefork",
                f"--concurrency={self._config.concurrency}",
                "--without-gossip",
                "--without-mingle",
            ]
        )
        return int(self._start_failed.value)

    def _settle(self) -> None:
        """Once, before the children start: of them each would download the weights."""
        config = self._config
        with closing(Database(config.database_url)) as database:
            settle_encoder(database, config.library, config.models_dir, utc_now())

    def _set_up_logging(self, **_: Any) -> None:
        logging.basicConfig(
            level=self._config.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        # Two lines for every message taken, probes included, say nothing that ours do not.
        for name in ("celery.worker.strategy", "celery.app.trace"):
            logging.getLogger(name).setLevel(logging.WARNING)

    def _start_child(self, **_: Any) -> None:
        """Load the model after the fork: a thread pool made before it would hang the child."""
        try:
            self._runtime = Runtime.start(self._config)
            self._runtime.warm_up()
        except MarketlensError as error:
            self._give_up(f"marketlens: {error}\n", exit_code_of(error))
        except Exception:  # noqa: BLE001 - whatever it was, this child can do nothing
            self._give_up(traceback.format_exc(), ExitCode.TRY_AGAIN)

    def _give_up(self, last_words: str, code: ExitCode) -> None:
        """End the whole worker. Celery would log the error and go on with a child that is none."""
        self._start_failed.value = code
        sys.stderr.write(last_words)
        sys.stderr.flush()
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(code)

    def _stop_child(self, **_: Any) -> None:
        if self._runtime is not None:
            self._runtime.database.close()

    def _held(self) -> Runtime:
        if self._runtime is None:
            raise RuntimeError("tasks run in worker processes only")
        return self._runtime
