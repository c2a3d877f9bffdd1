"""A private PostgreSQL for tests: a real server on a Unix socket in a temporary folder."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

# PostgreSQL refuses to run as root; this unprivileged user exists on every Unix.
UNPRIVILEGED = "nobody"
# Twice what the server's data is found to take while tests run.
ROOM_BYTES = 2**29


def find_postgres() -> Path:
    """The folder of PostgreSQL's programs: a server's on the PATH, else the pgserver wheel's."""
    for candidate in _candidates():
        if (candidate / "initdb").exists() and (candidate / "pg_ctl").exists():
            return candidate
    raise RuntimeError("no PostgreSQL found: install it, or `pip install pgserver`")


def _candidates() -> Iterator[Path]:
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    package = find_spec("pgserver")
    if package is not None and package.origin is not None:
        yield Path(package.origin).parent / "pginstall" / "bin"


_UNSAFE = " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[str]:
    """Run a server; gives the URL of its maintenance database. Only if `durable`, as a real one."""
    programs = find_postgres()
    user = UNPRIVILEGED if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="marketlens-pg-", dir=None if durable else _memory()))
    try:
        shutil.chown(folder, user)
        data = folder / "data"
        _run(user, programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8")
        # Durability is PostgreSQL's own to test; without it each test's database is made quickly.
        options = (
            f"-k {folder} -c listen_addresses= -c max_connections=200"
            + ("" if durable else _UNSAFE)
            + " -c wal_level=minimal -c max_wal_senders=0 -c max_wal_size=128MB"
            # Else what a stopped server shared stays behind in /dev/shm.
            " -c dynamic_shared_memory_type=mmap"
        )
        control = (programs / "pg_ctl", "-D", data, "-w")
        _run(user, *control, "-l", folder / "log", "-o", options, "start")
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            _run(user, *control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _memory() -> Path | None:
    """A folder in memory with room for the server's data, None where there is none.

    A database is 300 files, which some file systems take twenty times as long to copy.
    """
    shared = Path("/dev/shm")  # noqa: S108 - the server's folder in it has a random name
    if os.access(shared, os.W_OK) and shutil.disk_usage(shared).free >= ROOM_BYTES:
        return shared
    return None


def _run(user: str, *command: str | Path) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        user=user if os.getuid() == 0 else None,
        cwd="/",
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": "/"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.decode(errors='replace')}")
