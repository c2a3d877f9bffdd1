"""`marketlens relay`."""

import logging
import signal
from threading import Event, Thread
from types import FrameType

from command_line.exit_codes import awaiting
from db.session import Database
from db.store.webhooks import WebhookClient, hosts_of
from models.domain.processes import tell_supervisor
from observability import traces
from observability.process import observe
from settings import Settings
from workers.commands.retention.setup import retention_of
from workers.queue.broker import Broker
from workers.queue.broker_check import check_broker
from workers.queue.publisher import JobPublisher
from workers.queue.relay import (
    CALIBRATE_CHECK_EVERY_S,
    CALIBRATE_CHECK_WITHOUT_GENERATIONS_EVERY_S,
    run_relay,
)
from workers.retention.run import run_retention
from workers.saved_searches.webhooks import run_webhooks

log = logging.getLogger(__name__)


def relay() -> None:
    """Publish accepted jobs that no worker got, send webhooks, and remove what has had its time."""
    settings = Settings()
    observe("relay", settings.observing)
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
    retention = Thread(
        target=run_retention,
        args=(retention_of(settings, database, database.now, stop),),
        name="retention",
    )
    webhooks.start()
    retention.start()
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
        retention.join()
        traces.end()


def _calibrate_every_s(settings: Settings) -> float | None:
    if not settings.auto_optimise:
        return None
    if settings.index_url is not None:
        return CALIBRATE_CHECK_WITHOUT_GENERATIONS_EVERY_S
    return CALIBRATE_CHECK_EVERY_S
