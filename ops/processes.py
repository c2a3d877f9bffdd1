"""The processes of one machine, and a supervisor that restarts them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from models.domain.errors import ExitCode, SetupError


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process: its name, and the `marketlens` command it runs."""

    name: str
    arguments: tuple[str, ...]


# docker-compose.yml has one service for each of these.
PROCESSES = (
    ProcessSpec("api", ("api",)),
    ProcessSpec("search", ("worker", "search")),
    ProcessSpec("embed", ("worker", "embed")),
    ProcessSpec("index", ("worker", "index")),
    ProcessSpec("relay", ("relay",)),
)

STOP_TIMEOUT_S = 15
READY_LOOK_S = 0.05
# A process that ends sooner than this is restarted after a pause, which doubles each time.
EARLY_END_S = 10
# A process that refuses so soon after its start has never done anything: loading a network takes
# most of a minute on a busy machine.
REFUSAL_WITHIN_S = 60
LONGEST_PAUSE_S = 5
# How the line begins with which a command says why it refuses.
REFUSAL = "marketlens: "


def marketlens_command(*arguments: str) -> list[str]:
    """The command line that runs a `marketlens` command with this Python."""
    return [sys.executable, "-m", "marketlens", *arguments]


@dataclass
class _Running:
    command: list[str]
    process: subprocess.Popen[bytes]
    started_at: float
    descriptors: tuple[int, ...] = ()
    """Of files that it inherits."""
    stop_signal: signal.Signals = signal.SIGTERM
    """What ends it when everything ends."""
    failed_starts: int = 0
    not_before: float = 0.0


@dataclass
class Supervisor:
    """Starts processes, restarts those that die, stops all of them at the end."""

    log_dir: Path
    environment: Mapping[str, str]
    _running: dict[str, _Running] = field(default_factory=dict)
    _logs: list[IO[bytes]] = field(default_factory=list)
    _retiring: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Make the log folder."""
        self.log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop everything."""
        del kind, error, trace
        self.stop()

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        descriptors: Sequence[int] = (),
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> subprocess.Popen[bytes]:
        """Start a process; its output goes to `<name>.log`."""
        process = self._spawn(name, command, descriptors)
        self._running[name] = _Running(
            list(command), process, time.monotonic(), tuple(descriptors), stop_signal
        )
        return process

    def replace(
        self,
        name: str,
        is_ready: Callable[[int], bool],
        environment: Mapping[str, str],
        within_s: float,
    ) -> None:
        """Start a process anew beside the one of this name, which ends once the new one is ready.

        `is_ready` is asked by the new one's id. The old one is told to stop, and finishes what it
        is at. Raises SetupError, with the old one as it was, if the new one is not ready in time.
        """
        old = self._running[name]
        process = self._spawn(name, old.command, old.descriptors, environment)
        deadline = time.monotonic() + within_s
        while not is_ready(process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                _send_signal(process, signal.SIGKILL)
                process.wait()
                raise SetupError(f"{name} does not start: {self._reason(name)}")
            time.sleep(READY_LOOK_S)
        self._running[name] = replace(old, process=process, started_at=time.monotonic())
        _send_signal(old.process, signal.SIGTERM, group=False)
        self._retiring.append(old.process)

    def reap(self) -> int:
        """How many processes that were replaced have not ended yet."""
        for process in list(self._retiring):
            if process.poll() is not None:
                # The whole process group: a worker's children must not outlive it.
                _send_signal(process, signal.SIGKILL)
                self._retiring.remove(process)
        return len(self._retiring)

    def process_of(self, name: str) -> subprocess.Popen[bytes]:
        """The process that runs under this name now."""
        return self._running[name].process

    def restart_dead(self) -> list[str]:
        """Restart ended processes; returns their names. Raises SetupError if one does not start."""
        restarted = []
        for name, item in self._running.items():
            if item.process.poll() is None:
                continue
            if not item.not_before:
                # Other codes, such as 70 of a traceback, may be transient.
                if item.process.returncode == ExitCode.NOT_DONE and _age_s(item) < REFUSAL_WITHIN_S:
                    raise SetupError(f"{name} does not start: {self._reason(name)}")
                item.not_before = time.monotonic() + _pause_s(item)
                # The whole process group: a worker's children must not outlive it.
                _send_signal(item.process, signal.SIGKILL)
            if time.monotonic() >= item.not_before:
                item.process = self._spawn(name, item.command, item.descriptors)
                item.started_at, item.not_before = time.monotonic(), 0.0
                restarted.append(name)
        return restarted

    def kill(self, name: str) -> None:
        """End a process and its children at once (SIGKILL); `restart_dead` starts it again."""
        _send_signal(self._running[name].process, signal.SIGKILL)

    def age_s(self, name: str) -> float:
        """Seconds since the youngest process under this name has started, its children included."""
        return age_s(self._running[name].process.pid)

    def stop(self) -> None:
        """Terminate all processes, last started first; those that do not end in time are killed."""
        running = list(reversed(self._running.values()))
        for process in self._retiring:
            _send_signal(process, signal.SIGTERM, group=False)
        # The broker is stopped last, so that the others can close their connections.
        for item in running[:-1]:
            _send_signal(item.process, item.stop_signal, group=False)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for item in running:
            if item is running[-1]:
                _send_signal(item.process, item.stop_signal, group=False)
            with suppress(subprocess.TimeoutExpired):
                item.process.wait(max(0.1, deadline - time.monotonic()))
            # The whole process group: a worker's children must not outlive it.
            _send_signal(item.process, signal.SIGKILL)
            item.process.wait()
        for process in self._retiring:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            _send_signal(process, signal.SIGKILL)
            process.wait()
        self._retiring.clear()
        self._running.clear()
        for log in self._logs:
            log.close()
        self._logs.clear()

    def _spawn(
        self,
        name: str,
        command: Sequence[str],
        descriptors: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        log = open(self.log_dir / f"{name}.log", "ab", opener=_for_owner)  # noqa: SIM115 - with a mode of its own; closed by `stop`
        self._logs.append(log)
        # In its own group: Ctrl-C in the terminal reaches only the supervisor, which stops it. Not
        # in its own session: Linux shares cores among sessions, whatever the priorities in them.
        return subprocess.Popen(  # noqa: S603 - the command is our own
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(environment or self.environment),
            pass_fds=descriptors,
            process_group=0,
        )

    def _reason(self, name: str) -> str:
        """The last refusal in the log; else its last line."""
        lines = (self.log_dir / f"{name}.log").read_text(errors="replace").strip().splitlines()
        refusals = [line for line in lines if line.startswith(REFUSAL)]
        return " ".join((refusals or lines)[-1:]).removeprefix(REFUSAL) or "its log is empty"


def age_s(pid: int) -> float:
    """Seconds since the youngest of a process and its descendants has started; 0 if it ended."""
    try:
        process = psutil.Process(pid)
        family = (process, *process.children(recursive=True))
        return time.time() - max(each.create_time() for each in family)
    except psutil.NoSuchProcess:
        return 0.0


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _age_s(item: _Running) -> float:
    return time.monotonic() - item.started_at


def _pause_s(item: _Running) -> float:
    """Zero after a process that had run for a while, doubling with each early end."""
    if _age_s(item) >= EARLY_END_S:
        item.failed_starts = 0
        return 0.0
    pause_s: float = min(2**item.failed_starts - 1, LONGEST_PAUSE_S)
    item.failed_starts += 1
    return pause_s


def _send_signal(
    process: subprocess.Popen[bytes], number: signal.Signals, *, group: bool = True
) -> None:
    try:
        if group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
    except ProcessLookupError:
        return
