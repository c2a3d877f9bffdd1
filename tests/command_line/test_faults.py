"""Every command, and every fault of what it needs: one line that says what to do, no traceback.

A command that is new is in this table by itself, and expected to need settings and a database.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
import typer
from celery import Celery
from typer.testing import CliRunner

from command_line.lazy import CommandRef, Table
from marketlens import COMMANDS, app
from models.domain.errors import ExitCode
from ops.redis_server import find_redis_server, redis_command
from settings import PREFIX

SECRET: Final = "pa55word"  # noqa: S105 - of nothing
SERVING: Final = "it serves"
"""What is printed by what would have served until stopped."""


def names_of(table: Table, *before: str) -> Iterator[str]:
    for name, entry in table.items():
        if isinstance(entry, CommandRef):
            yield " ".join((*before, name))
        else:
            yield from names_of(entry.commands, *before, name)


ALL: Final = tuple(name for name in names_of(COMMANDS) if name != "doctor")
"""Every command but the one that goes on after a fault, to the next: see below."""

ARGUMENTS: Final = {
    "sample": ("drawn", "--listings", "1"),
    "fetch": ("feed", "fetched"),
    "clean": ("feed", "cleaned"),
    "seed": ("feed",),
    "events import": ("events.csv",),
    "keys create": ("somebody", "--scope", "search"),
    "keys revoke": ("somebody",),
    "keys rotate": ("somebody",),
    "worker": ("search",),
    "encoder register": ("hog",),
    "encoder activate": ("hog",),
    "encoder retire": ("hog",),
    "encoder migrate": ("hog",),
    "rank activate": ("default",),
    "backup create": ("backups",),
    "backup list": ("backups",),
    "backup verify": ("backups",),
    "restore": ("backups",),
    "erase listing": (str(uuid4()),),
    "erase user": ("somebody",),
    "search": ("lamp",),
    "similar": (str(uuid4()),),
    "index show": ("1",),
    "index activate": ("1",),
    "index plan": ("--rows", "1000"),
}
"""What commands can't do without."""

WAITING_FOR_WORKERS: Final = frozenset({"index build", "encoder migrate"})
"""What would wait for workers, which there are none of, and is told to do the work itself."""

WITHOUT_SETTINGS: Final = frozenset({"sample", "fetch", "backup list", "backup verify"})
WITHOUT_DATABASE: Final = WITHOUT_SETTINGS | {
    "clean",
    "index plan",
    "metrics",
    "restart",
    "restore",
}
"""What needs none, or looks first at what it is given: a machine that runs, a backup."""
WAITING: Final = frozenset({"api", "relay"})
"""What begins to serve while the database or the broker is away, and tries again."""
WITH_BROKER: Final = frozenset(
    {"up", "demo", "api", "worker", "relay", "seed", "index build", "encoder migrate"}
)
WAITING_FOR_BROKER: Final = frozenset({"api", "worker", "relay"})
WITH_STORE: Final = frozenset(
    {"up", "demo", "api", "worker", "seed", "reconcile", "adapt", "duplicates", "index prune"}
)


@dataclass(frozen=True)
class Servers:
    """Servers that are no good, by their ports or sockets."""

    talks_http: int
    wants_password: str


@dataclass(frozen=True)
class Fault:
    """A fault: what it makes of the settings, and how the commands that meet it end."""

    name: str
    settings: Callable[[Path, Servers], dict[str, str]]
    ends: ExitCode
    met_by: Callable[[str], bool]
    waited_for_by: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.name


def setting(name: str, value: str) -> Fault:
    def meets(command: str) -> bool:
        return command not in WITHOUT_SETTINGS

    return Fault(f"{name}={value}", lambda _, __: {name: value}, ExitCode.NOT_DONE, meets)


def database(name: str, url: str | None, ends: ExitCode, prepare: str = "") -> Fault:
    def make(folder: Path, servers: Servers) -> dict[str, str]:
        del servers
        if prepare == "junk":
            (folder / "junk").mkdir()
            (folder / "junk" / "marketlens.db").write_bytes(b"no database " * 1000)
            return {"data_dir": "junk"}
        if prepare == "folder":
            return {"data_dir": "/proc/marketlens"}
        return {} if url is None else {"database_url": url}

    waited_for_by = WAITING if ends is ExitCode.TRY_AGAIN else frozenset()
    return Fault(name, make, ends, lambda command: command not in WITHOUT_DATABASE, waited_for_by)


def broker(name: str, url: Callable[[Servers], str], ends: ExitCode) -> Fault:
    waited_for_by = WAITING_FOR_BROKER if ends is ExitCode.TRY_AGAIN else frozenset()
    return Fault(
        name,
        lambda _, servers: {"redis_url": url(servers)},
        ends,
        WITH_BROKER.__contains__,
        waited_for_by,
    )


def store(name: str, url: str) -> Fault:
    def make(folder: Path, servers: Servers) -> dict[str, str]:
        del servers
        (folder / "file").touch()
        return {"store_url": url}

    return Fault(name, make, ExitCode.NOT_DONE, WITH_STORE.__contains__)


NOT_DONE, TRY_AGAIN = ExitCode.NOT_DONE, ExitCode.TRY_AGAIN

FAULTS: Final = (
    setting("port", "abc"),
    setting("log_level", "loud"),
    setting("data_dir", "/dev/null"),
    setting("threads", "0"),
    database("PostgreSQL away", f"postgres://me:{SECRET}@127.0.0.1:9/x", TRY_AGAIN),
    database("unknown host", f"postgresql://me:{SECRET}@no.such.invalid/x", TRY_AGAIN),
    database("another database", f"mysql://me:{SECRET}@127.0.0.1/x", NOT_DONE),
    database("no URL", f"postgres:{SECRET}", NOT_DONE),
    database("no database file", None, NOT_DONE, "junk"),
    database("no folder can be made", None, NOT_DONE, "folder"),
    broker("Redis away", lambda _: f"redis://:{SECRET}@127.0.0.1:9/0", TRY_AGAIN),
    broker("no Redis", lambda servers: f"redis://127.0.0.1:{servers.talks_http}/0", NOT_DONE),
    broker("a password", lambda servers: f"unix://:{SECRET}@{servers.wants_password}", NOT_DONE),
    broker("no broker's URL", lambda _: f"amqp://me:{SECRET}@127.0.0.1/x", NOT_DONE),
    store("no store's URL", f"nonsense://{SECRET}@somewhere"),
    store("a file as store", "file"),
)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A server that is no Redis, and a Redis that wants a password."""
    path = tmp_path_factory.mktemp("redis") / "redis.sock"
    command = [*redis_command(find_redis_server(), path), "--requirepass", "another"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def answer() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.recv(4096)
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        while not path.exists():
            assert process.poll() is None
        yield Servers(listener.getsockname()[1], str(path))
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    process.terminate()
    process.wait()


@pytest.fixture
def place(tmp_path: Path, migrated_sqlite: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to run commands in, with a database in it that has nothing in it."""
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for name, value in {"ENCODER": "hog", "HOST": "127.0.0.1", "PORT": "0"}.items():
        monkeypatch.setenv(PREFIX + name, value)
    (tmp_path / "empty").mkdir()
    shutil.copy(migrated_sqlite, tmp_path / "empty" / "marketlens.db")
    monkeypatch.setenv(f"{PREFIX}DATA_DIR", str(tmp_path / "empty"))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield tmp_path
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def _nothing_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would serve until it is stopped says that it would, and ends."""

    def serve(*_: object, **__: object) -> None:
        typer.echo(SERVING)

    def supervise(*_: object) -> None:
        typer.echo(SERVING)
        raise SystemExit(0)

    monkeypatch.setattr("api.cli.serve", serve)
    monkeypatch.setattr("workers.commands.relay.run_relay", serve)
    monkeypatch.setattr(Celery, "worker_main", serve)
    monkeypatch.setattr("ops.machine.Supervisor", supervise)


@pytest.mark.usefixtures("_nothing_serves")
@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("command", ALL)
def test_every_command_says_every_fault_in_one_line(
    command: str,
    fault: Fault,
    place: Path,
    servers: Servers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in fault.settings(place, servers).items():
        monkeypatch.setenv(PREFIX + name.upper(), value)
    words = [*command.split(), *ARGUMENTS.get(command, ())]
    if command in WAITING_FOR_WORKERS and not fault.met_by(command):
        words.append("--inline")
    ended = CliRunner().invoke(app, words)
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    said = [line for line in ended.stderr.splitlines() if line.startswith("marketlens: ")]
    assert SECRET not in ended.output
    assert "Traceback" not in ended.output
    if command in fault.waited_for_by:
        assert (ended.exit_code, said) == (ExitCode.DONE, [])
        assert SERVING in ended.stdout
    elif fault.met_by(command):
        assert (ended.exit_code, len(said)) == (fault.ends, 1), ended.output
    else:
        assert len(said) <= 1
        assert ended.exit_code in {ExitCode.DONE, ExitCode.LOOK_AT_IT, ExitCode.NOT_DONE}
        assert bool(said) == (ended.exit_code == ExitCode.NOT_DONE), ended.output


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_every_fault_is_one_problem_for_the_doctor(
    fault: Fault, place: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in fault.settings(place, servers).items():
        monkeypatch.setenv(PREFIX + name.upper(), value)
    ended = CliRunner().invoke(app, ["doctor", "--json"])
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    assert SECRET not in ended.output
    assert ended.exit_code == ExitCode.NOT_DONE
    report = json.loads(ended.stdout)
    if "error" in report:  # settings that can't be read say so instead of everything else
        assert "MARKETLENS_" in report["error"]
        return
    problems = [one["what"] for one in report["findings"] if one["verdict"] == "problem"]
    assert len(set(problems)) == len(problems) == 1, report
