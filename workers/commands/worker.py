"""`marketlens worker`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from command_line.options import command_of
from command_line.private_data import keep_private
from models.domain.errors import ExitCode
from settings import Settings
from workers.app import Worker
from workers.config import worker_config
from workers.queue.messages import Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """The options of the command."""

    queue: Annotated[Queue, typer.Argument(help="Which kind of job to do.")]
    concurrency: Annotated[int, typer.Option(min=1, help="Processes, each with its model.")] = 1


@command_of(WorkerOptions)
def worker(options: WorkerOptions) -> ExitCode:
    """Do the jobs of one queue until stopped."""
    settings = Settings()
    keep_private(settings.data_dir)
    return ExitCode(Worker(worker_config(settings, options.queue, options.concurrency)).run())
