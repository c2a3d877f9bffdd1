"""`marketlens worker` and `marketlens relay`."""

import logging
import signal
from datetime import UTC, datetime
from threading import Event
from types import FrameType
from typing import Annotated

import typer

from db.session import Database
from settings import Settings
from workers.config import worker_config
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher
from workers.relay import run_relay

app = typer.Typer()


@app.command()
def worker(
    queue: Annotated[Queue, typer.Argument(help="Which kind of job to do.")],
    concurrency: Annotated[int, typer.Option(min=1, help="Processes, each with its model.")] = 1,
) -> None:
    """Do the jobs of one queue until stopped."""
    # Imported here: torch and faiss are for the process that computes, not for every command.
    from workers.app import Worker  # noqa: PLC0415

    raise typer.Exit(Worker(worker_config(Settings(), queue, concurrency)).run())


@app.command()
def relay() -> None:
    """Publish accepted jobs that no worker got, until stopped."""
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
    run_relay(
        Database(settings.sqlalchemy_url),
        JobPublisher(settings.broker_url),
        lambda: datetime.now(UTC),
        settings.max_attempts,
        stop,
        # On a server there is nothing to rebuild.
        auto_reindex=settings.auto_reindex and settings.index_url is None,
    )
