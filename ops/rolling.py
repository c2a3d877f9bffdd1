"""Restarts the processes of a running machine one after the other, while calls are answered.

The schema is migrated first, by what is installed now. Then each process is started anew beside the
old one, which ends when the new one is ready. Workers come before the API: they read what an older
one has stored, and not the other way round. The API's processes share a socket that the supervisor
holds, so that no connection is refused.
"""

import socket
import subprocess
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from models.domain.errors import SetupError
from models.domain.processes import NOTIFY_SOCKET
from ops.processes import Supervisor, marketlens_command

ORDER: Final = ("search", "embed", "index", "relay", "api")
READY_WITHIN_S: Final = 180.0
"""Loading a network takes most of a minute on a busy machine."""
MESSAGE_BYTES: Final = 4_096
SOCKET_NAME: Final = "ready.sock"

Say = Callable[[str], None]


def restart_one_by_one(
    supervisor: Supervisor, environment: Mapping[str, str], run_dir: Path, say: Say
) -> None:
    """Migrate the database and restart every process. Raises SetupError where one does not start.

    Then it and those after it go on as they were.
    """
    migrated = subprocess.run(  # noqa: S603 - the command is our own
        marketlens_command("migrate"),
        env=dict(environment),
        check=False,
        capture_output=True,
        text=True,
    )
    if migrated.returncode:
        raise SetupError(f"The database can't be migrated: {migrated.stderr.strip()}")
    with readiness(run_dir) as (path, is_ready):
        told = {**environment, NOTIFY_SOCKET: str(path)}
        for name in ORDER:
            supervisor.replace(name, is_ready, told, READY_WITHIN_S)
            say(f"{name} was restarted.")


@contextmanager
def readiness(run_dir: Path) -> Generator[tuple[Path, Callable[[int], bool]]]:
    """A socket in a folder, which processes tell when they are ready; whether one is, by its id."""
    path = run_dir / SOCKET_NAME
    path.unlink(missing_ok=True)
    ready: set[int] = set()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        path.chmod(0o600)
        receiver.setblocking(False)

        def is_ready(pid: int) -> bool:
            try:
                while True:
                    lines = receiver.recv(MESSAGE_BYTES).decode(errors="replace").splitlines()
                    told = dict(line.partition("=")[::2] for line in lines)
                    if told.get("READY") == "1" and told.get("MAINPID", "").isdecimal():
                        ready.add(int(told["MAINPID"]))
            except BlockingIOError:
                return pid in ready

        try:
            yield path, is_ready
        finally:
            path.unlink(missing_ok=True)
