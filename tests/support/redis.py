"""A private Redis for tests."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from redis import Redis

from ops.redis_server import find_redis_server, redis_command, wait_for_redis
from workers.queue.broker import CONSUMER_TRANSPORT, create_celery
from workers.queue.messages import Queue


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


def empty(broker_url: str) -> None:
    """Forget every message."""
    with Redis(unix_socket_path=broker_url.partition("://")[2]) as redis:
        redis.flushall()


def take_all(broker_url: str, queue: Queue) -> list[str]:
    """Take every message from a queue, as a worker that then vanishes would."""
    taken = []
    with create_celery(broker_url, CONSUMER_TRANSPORT).connection_for_read() as connection:
        simple = connection.SimpleQueue(queue.value)
        with suppress(simple.Empty):
            while True:
                message = simple.get(timeout=0.2)
                taken.append(message.payload[0][0])
                message.ack()
        simple.close()
    return taken
