"""Starts all processes of one machine: migrates the database, then Redis, API, workers, relay."""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from signal import SIGINT, signal
from socket import socket
from typing import TextIO

import httpx2
from pydantic import SecretStr

from command_line.addresses import free_port, listening_socket, url_at
from command_line.exit_codes import awaiting
from command_line.private_data import keep_private
from command_line.resources import database_of, library_of, store_of, threads_of
from db.consumption import clear_consumption
from db.schema_migration import upgrade
from db.session import Database
from db.tables import Encoder
from models.domain.clock import utc_now
from models.domain.errors import SetupError
from models.encoders.first_export import export_once, is_exported
from models.encoders.library import EncoderLibrary
from ops.backup.note import require_restored
from ops.consumption_watch import ConsumptionWatch, watching
from ops.processes import PROCESSES, ProcessSpec, Supervisor, marketlens_command
from ops.redis_server import (
    find_redis_server,
    prepare_socket_folder,
    redis_command,
    wait_for_redis,
)
from ops.rolling import restart_one_by_one
from ops.run_status import LOCK_FILE, RESTART, RunStatus, this_status, write_status
from settings import Settings
from workers.encoders.active_encoder import (
    encoder_mismatch_warning,
    ensure_active_encoder,
    require_files,
)
from workers.queue.broker import Broker
from workers.queue.broker_check import check_configured_broker
from workers.queue.waiting_messages import WaitingMessages

log = logging.getLogger(__name__)

READY_TIMEOUT_S = 120
WATCH_EVERY_S = 0.5

Say = Callable[[str], None]

ChooseEncoder = Callable[[Database, EncoderLibrary, Path, datetime], Encoder]
"""Chooses and returns the active encoder; see `workers.encoders.active_encoder`."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A running machine."""

    url: str
    settings: Settings
    environment: dict[str, str]
    supervisor: Supervisor
    say: Say
    silent: "SimpleQueue[str]"
    """Processes that run and do nothing, as they are found."""
    lock: TextIO
    """The locked file that says what runs here."""

    def watch(self) -> list[str]:
        """Restart processes that have ended or do nothing, and report it; returns their names."""
        with suppress(Empty):
            while True:
                name = self.silent.get_nowait()
                self.say(f"{name} does nothing, although it could, and is started again.")
                self.supervisor.kill(name)
        self.supervisor.reap()
        restarted = self.supervisor.restart_dead()
        for name in restarted:
            self.say(f"{name} ended unexpectedly and was started again.")
        return restarted

    def restart(self) -> None:
        """Migrate and restart everything but Redis, one after the other, while calls are answered.

        Raises SetupError where one does not start: the old one goes on.
        """
        prepare_socket_folder(self.settings.redis_socket)
        run_dir = self.settings.redis_socket.parent
        restart_one_by_one(self.supervisor, self.environment, run_dir, self.say)

    def restart_as_asked(self, restarts: int) -> None:
        """Restart, and write how it ended: `restarts` counts all until then."""
        failed = None
        try:
            self.restart()
        except SetupError as error:
            failed = str(error)
            self.say(f"Not all was restarted: {failed}")
        write_status(self.lock, RunStatus(os.getpid(), restarts, failed))

    def serve(self) -> None:
        """Supervise the processes until interrupted; restart them whenever `restart` asks for it.

        Of the main thread, as it handles a signal.
        """
        asked = SimpleQueue[int]()
        signal(RESTART, lambda number, _: asked.put(number))
        restarts = 0
        while True:
            self.watch()
            with suppress(Empty):
                asked.get(timeout=WATCH_EVERY_S)
                restarts += 1
                self.restart_as_asked(restarts)

    def wait_until_ready(self) -> None:
        """Return once a search would be done. Raises SetupError when that takes too long."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            self.watch()
            try:
                if httpx2.get(f"{self.url}/readyz", timeout=5).status_code == httpx2.codes.OK:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.1)
        raise SetupError(f"Not ready after {READY_TIMEOUT_S} s; see {self.supervisor.log_dir}.")


@contextmanager
def machine_up(
    settings: Settings, say: Say, choose: ChooseEncoder = ensure_active_encoder
) -> Iterator[Machine]:
    """Start everything; stop everything at the end. `choose` names the active encoder."""
    # Before anything is made or downloaded: all that can be refused at once.
    port = free_port(settings.host, settings.port)
    with awaiting(log):
        store_of(settings)
    with lock_data_dir(settings.data_dir) as lock:
        write_status(lock, this_status())
        require_restored(settings.data_dir)
        _prepare_database(settings, say, choose)
        if settings.port and port != settings.port:
            say(f"Port {settings.port} is busy, using {port}.")
        settings = settings.model_copy(update={"port": port})
        environment = child_environment(settings)
        with (
            closing(listening_socket(settings.host, port)) as listening,
            Supervisor(settings.log_dir, environment) as supervisor,
        ):
            if settings.redis_url is None:
                _start_redis(supervisor, settings.redis_socket)
            for spec in PROCESSES:
                _start(supervisor, spec, listening)
            url = url_at(settings.host, port)
            machine = Machine(url, settings, environment, supervisor, say, SimpleQueue(), lock)
            with _watching_queues(machine):
                yield machine


@contextmanager
def _watching_queues(machine: Machine) -> Iterator[None]:
    """Look for processes that do nothing, until the block ends."""
    with database_of(machine.settings) as database:
        broker = Broker(machine.settings.broker_url, database)
        with closing(WaitingMessages(broker)) as messages:
            watch = ConsumptionWatch(
                database, messages.has_memory, machine.supervisor.age_s, database.now
            )
            with watching(watch, machine.silent.put):
                yield


def _start(supervisor: Supervisor, spec: ProcessSpec, listening: socket) -> None:
    command = marketlens_command(*spec.arguments)
    if spec.name != "api":
        supervisor.start(spec.name, command)
        return
    # While everything stops, nobody takes over what it would drain for.
    descriptor = listening.fileno()
    supervisor.start(
        spec.name,
        [*command, "--fd", str(descriptor)],
        descriptors=[descriptor],
        stop_signal=SIGINT,
    )


def child_environment(settings: Settings) -> dict[str, str]:
    """This process' environment, with a variable for every setting that is set."""
    decided = settings.model_dump(exclude_unset=True, exclude_none=True)
    named = {f"MARKETLENS_{name.upper()}": _in_clear(value) for name, value in decided.items()}
    return {**os.environ, **named}


def _in_clear(value: object) -> str:
    # A secret's own text is asterisks.
    return str(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _prepare_database(settings: Settings, say: Say, choose: ChooseEncoder) -> None:
    """Migrate the schema and choose the active encoder, before any process is started."""
    upgrade(settings.sqlalchemy_url)
    library = library_of(settings)
    with database_of(settings) as database:
        check_configured_broker(settings.redis_url, database)
        active = choose(database, library, settings.models_dir, utc_now()).spec
        require_files(library, active, settings.models_dir)
        with database.write() as session:
            clear_consumption(session)
    if settings.auto_optimise and not is_exported(settings.models_dir, active):
        say(f"{active.label} is exported for faster inference, once ...")
        if outcome := export_once(settings.models_dir, active, threads_of(settings)):
            say(outcome)
    if wanted := encoder_mismatch_warning(active, library, settings.encoder, settings.weights):
        say(wanted)


def _start_redis(supervisor: Supervisor, at: Path) -> None:
    prepare_socket_folder(at)
    process = supervisor.start("redis", redis_command(find_redis_server(), at))
    wait_for_redis(process, at)


@contextmanager
def lock_data_dir(data_dir: Path) -> Iterator[TextIO]:
    """Lock the data folder: two machines must not use the same Redis socket."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        keep_private(data_dir)
        # Not truncated: another machine may have it.
        lock_file = (data_dir / LOCK_FILE).open("a+")
    except OSError as error:
        raise SetupError(
            f"The data folder {data_dir} can't be written: {error.strerror}. "
            "Set MARKETLENS_DATA_DIR."
        ) from error
    with lock_file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(f"Marketlens is already running in {data_dir}.") from None
        yield lock
