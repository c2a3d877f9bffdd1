"""What a running machine writes into the file that it locks: who it is, and how restarts ended."""

import fcntl
import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TextIO

from models.domain.errors import SetupError

LOCK_FILE: Final = "up.lock"
RESTART: Final = signal.SIGUSR1
"""What tells a running machine to restart its processes. Closing a terminal sends SIGHUP."""
LOOK_EVERY_S: Final = 0.2
READS: Final = 10
"""How often the file is read that another process may be writing."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The process of `marketlens up`, how many restarts it has ended, and why the last failed."""

    pid: int
    restarts: int = 0
    failed: str | None = None


def write_status(lock: TextIO, status: RunStatus) -> None:
    """Replace what the lock's file says."""
    lock.seek(0)
    lock.truncate()
    lock.write(json.dumps(asdict(status)))
    lock.flush()


def this_status() -> RunStatus:
    """Of this process, which has just started."""
    return RunStatus(os.getpid())


def ask_for_restart(data_dir: Path, within_s: float) -> None:
    """Have the machine that runs in this folder restart its processes, and wait for the end.

    Raises SetupError if none runs there, and where the restart fails or takes too long.
    """
    before = _status_in(data_dir)
    os.kill(before.pid, RESTART)
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
        now = _status_in(data_dir)
        if now.restarts > before.restarts:
            if now.failed is not None:
                raise SetupError(f"Not all was restarted: {now.failed}")
            return
    raise SetupError(f"The restart has not ended within {within_s:.0f} s; see the logs.")


def _status_in(data_dir: Path) -> RunStatus:
    for _ in range(READS):
        try:
            with (data_dir / LOCK_FILE).open() as lock:
                if not _is_locked(lock):
                    raise SetupError(f"Marketlens is not running in {data_dir}.")
                return RunStatus(**json.loads(lock.read()))
        except FileNotFoundError:
            raise SetupError(f"Marketlens is not running in {data_dir}.") from None
        except ValueError:
            # It is being written.
            time.sleep(LOOK_EVERY_S)
    raise SetupError(f"What runs in {data_dir} can't be restarted: stop and start it.")


def _is_locked(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(lock, fcntl.LOCK_UN)
    return False
