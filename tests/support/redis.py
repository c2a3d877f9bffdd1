"""A private Redis for tests."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.redis_server import find_redis_server, redis_command, wait_for_redis


@contextmanager
def redis_server() -> Iterator[str]:
    """Run a real Redis on a Unix socket; gives its broker URL."""
    folder = Path(tempfile.mkdtemp(prefix="marketlens-redis-"))
    socket = folder / "redis.sock"
    process = subprocess.Popen(
        redis_command(find_redis_server(), socket), stdout=subprocess.DEVNULL
    )
    try:
        wait_for_redis(process, socket)
        yield f"redis+socket://{socket}"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)
