"""A private Redis for tests."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from redis import Redis

from db.session import Database
from ops.redis_server import find_redis_server, redis_command, wait_for_redis
from tests.support.waiting import wait_until
from workers.queue.broker import CONSUMER_TRANSPORT, Broker, create_celery
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


class KnownBroker(Broker):
    """The part of a broker that has this prefix, without the database that says so."""

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, Database("sqlite:///unused.db"))
        self._prefix = prefix


def broker_at(broker_url: str) -> Broker:
    """A deployment's part of a broker; the same one at each call."""
    return KnownBroker(broker_url, "test:")


def prefixes(broker_url: str, queue: Queue) -> list[str]:
    """The prefixes of the deployments that have messages in a queue."""
    with Redis(unix_socket_path=broker_url.partition("://")[2]) as redis:
        keys = [key.decode() for key in redis.keys(f"*:{queue.value}")]
    return sorted(key.removesuffix(queue.value) for key in keys)


def take_all(broker_url: str, queue: Queue) -> list[str]:
    """Take every message from the one deployment's queue, as a worker that then vanishes would."""
    taken: list[str] = []
    found = prefixes(broker_url, queue)
    if not found:
        return taken
    (prefix,) = found
    celery = create_celery(KnownBroker(broker_url, prefix), CONSUMER_TRANSPORT)
    with celery.connection_for_read() as connection:
        simple = connection.SimpleQueue(queue.value)
        with suppress(simple.Empty):
            while True:
                message = simple.get(timeout=0.2)
                taken.append(message.payload[0][0])
                message.ack()
        simple.close()
    return taken


def take_published(broker_url: str, queue: Queue, count: int) -> list[str]:
    """Take all messages once there are `count`: the API publishes beside its answers."""
    taken: list[str] = []

    def is_there() -> bool:
        taken.extend(take_all(broker_url, queue))
        return len(taken) >= count

    wait_until(is_there)
    return taken
