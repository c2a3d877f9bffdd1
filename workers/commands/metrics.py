"""`marketlens metrics`."""

import signal
import sys
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer
from prometheus_client import generate_latest, start_http_server

from command_line.options import command_of
from models.domain.errors import ExitCode, SetupError
from observability.exposition import about_machine, registry_of
from settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsOptions:
    """The options of the command."""

    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Serve them at this port until stopped."),
    ] = None
    host: Annotated[
        str, typer.Option(help="Address to serve them at; who reaches it may read them.")
    ] = "127.0.0.1"


@command_of(MetricsOptions)
def metrics(options: MetricsOptions) -> ExitCode:
    """Print what the processes of this machine have counted, or serve it where there is no API."""
    settings = Settings()
    folder = settings.observing.metrics_dir
    if folder is None:
        raise SetupError("Nothing is counted: MARKETLENS_METRICS is false.")
    registry = registry_of(folder, partial(about_machine, folder, settings.data_dir))
    if options.port is None:
        sys.stdout.buffer.write(generate_latest(registry))
        return ExitCode.DONE
    # Before the thread that serves: it must not get them.
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    server, thread = start_http_server(options.port, options.host, registry)
    typer.echo(f"Serving http://{options.host}:{options.port}/metrics")
    signal.sigwait(stops)
    server.shutdown()
    server.server_close()
    thread.join()
    return ExitCode.DONE
