"""`marketlens relay`."""

import logging
import signal
from datetime import timedelta
from threading import Event, Thread
from types import FrameType

from command_line.exit_codes import awaiting
from db.session import Database
from db.store.webhooks import WebhookClient, hosts_of
from models.domain.processes import tell_supervisor
from settings import Settings
from workers.events.pruning import run_pruning
from workers.queue.broker import Broker
from workers.queue.broker_check import check_broker
from workers.queue.publisher import JobPublisher
from workers.queue.relay import (
    CALIBRATE_CHECK_EVERY_S,
    CALIBRATE_CHECK_WITHOUT_GENERATIONS_EVERY_S,
    run_relay,
)
from workers.saved_searches.webhooks import run_webhooks

log = logging.getLogger(__name__)


def relay() -> None:
    """Publish accepted jobs that no worker got, send webhooks, and delete old events."""
    settings = Settings()
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    stop = Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    database = Database(settings.sqlalchemy_url)
    broker = Broker(settings.broker_url, database)
    with awaiting(log):
        check_broker(broker)
    webhooks = Thread(
        target=run_webhooks,
        args=(database, WebhookClient(hosts_of(settings.webhook_hosts)), database.now, stop),
        name="webhooks",
    )
    pruning = Thread(
        target=run_pruning,
        args=(database, timedelta(days=settings.events_kept_days), database.now, stop),
        name="pruning",
    )
    webhooks.start()
    pruning.start()
    tell_supervisor("READY=1")
    try:
        run_relay(
            database,
            JobPublisher(broker),
            database.now,
            settings.max_attempts,
            stop,
            # On a server there is nothing to rebuild.
            auto_reindex=settings.auto_reindex and settings.index_url is None,
            auto_adapt=settings.auto_optimise and settings.index_url is None,
            calibrate_every_s=_calibrate_every_s(settings),
        )
    finally:
        # Also where it breaks: the other threads alone would keep the process.
        stop.set()
        webhooks.join()
        pruning.join()


def _calibrate_every_s(settings: Settings) -> float | None:
    if not settings.auto_optimise:
        return None
    if settings.index_url is not None:
        return CALIBRATE_CHECK_WITHOUT_GENERATIONS_EVERY_S
    return CALIBRATE_CHECK_EVERY_S
