"""`marketlens api`."""

import logging
import os
import socket
from dataclasses import dataclass
from typing import Annotated, Final

import typer
from fastapi import FastAPI
from uvicorn import Config

from api.caller import is_loopback
from api.main import create_app
from api.server import serve
from command_line.addresses import bound_port
from command_line.exit_codes import awaiting
from command_line.options import command_of
from command_line.private_data import keep_private
from command_line.resources import database_of, store_of
from db.keys import count_keys
from models.domain.clock import utc_now
from models.domain.errors import ExitCode, SetupError
from observability.process import observe
from settings import Settings
from workers.queue.broker import Broker
from workers.queue.broker_check import check_broker

log = logging.getLogger(__name__)

STOP_TIMEOUT_S: Final = 10
"""For how long calls may go on when it is stopped: streams of events would go on for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOptions:
    """The options of the command."""

    host: Annotated[str | None, typer.Option(help="Address to bind to.")] = None
    port: Annotated[int | None, typer.Option(help="Port to bind to.")] = None
    processes: Annotated[int, typer.Option(min=1, help="Processes that answer calls.")] = 1
    fd: Annotated[
        int | None,
        typer.Option(
            min=0, help="Descriptor of a socket that listens already, as systemd gives it."
        ),
    ] = None


def observed_app(settings: Settings | None = None) -> FastAPI:
    """The application of a process that serves it, with logs, metrics and traces."""
    settings = settings or Settings()
    observe("api", settings.observing)
    return create_app(settings)


@command_of(ApiOptions)
def api(options: ApiOptions) -> ExitCode:
    """Serve the HTTP API and the page until stopped."""
    settings = Settings()
    given = {"host": options.host, "port": options.port}
    given = {name: value for name, value in given.items() if value is not None}
    settings = Settings(**settings.model_dump(exclude_unset=True) | given)
    keep_private(settings.data_dir)
    _require_key_off_loopback(settings)
    listening = None if options.fd is None else socket.socket(fileno=options.fd)
    if listening is None:
        settings = settings.model_copy(update={"port": bound_port(settings.host, settings.port)})
    _require_servers(settings)
    # Each process makes an application of its own, from what it finds in the environment.
    os.environ.update(MARKETLENS_HOST=settings.host, MARKETLENS_PORT=str(settings.port))
    several = options.processes > 1
    try:
        config = Config(
            "api.cli:observed_app" if several else observed_app(settings),
            factory=several,
            workers=options.processes,
            host=settings.host,
            port=settings.port,
            # Its loggers are rendered as all others.
            log_config=None,
            log_level=settings.log_level.lower(),
            access_log=False,
            server_header=False,
            # By default it would believe whatever a caller of this machine says of its address.
            proxy_headers=bool(settings.proxies),
            forwarded_allow_ips=list(settings.proxies),
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
        )
        serve(config, settings.drain_seconds, listening)
    except SystemExit as refused:
        # uvicorn has logged the reason: 1 is an address that it can't bind to, 3 an application
        # that does not start.
        return ExitCode.NOT_DONE if refused.code else ExitCode.DONE
    return ExitCode.DONE


def _require_servers(settings: Settings) -> None:
    """Raise for servers that refuse what this needs; those that are away are tried again."""
    with database_of(settings) as database:
        with awaiting(log):
            check_broker(Broker(settings.broker_url, database))
        with awaiting(log):
            store_of(settings)


def _require_key_off_loopback(settings: Settings) -> None:
    if is_loopback(settings.host):
        return
    with database_of(settings) as database, database.read() as session:
        keys = count_keys(session, utc_now())
    if not keys:
        raise SetupError(
            f"Without an API key only this machine may call: make one with "
            f"`marketlens keys create NAME --scope search` before binding to {settings.host}."
        )
