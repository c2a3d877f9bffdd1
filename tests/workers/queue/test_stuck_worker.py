"""A real worker whose consumer takes nothing any more ends itself, with its children."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import psutil
import pytest

from db.session import Database
from models.domain.errors import ExitCode
from ops.machine import child_environment
from settings import Settings
from tests.support.paths import REPOSITORY
from tests.support.redis import redis_server
from tests.support.waiting import wait_until
from workers.queue.broker import Broker
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher

# As kombu's consumer was after Redis had stood still; and with a watchdog that is in a hurry.
STUCK_WORKER: Final = """
from settings import Settings
from workers.app import Worker
from workers.config import worker_config
from workers.queue import watchdog
from workers.queue.messages import Queue
from workers.queue.transport import QoS

QoS.can_consume = lambda self: {can_consume}
watchdog.SILENT_FOR_S, watchdog.LOOK_EVERY_S = 1.0, 0.2
raise SystemExit(Worker(worker_config(Settings(), Queue.EMBED)).run())
"""


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str) -> Iterator[Settings]:
    with redis_server() as redis_url:
        yield Settings(
            data_dir=tmp_path, database_url=sqlite_url, redis_url=redis_url, encoder="hog"
        )


def start(settings: Settings, *, can_consume: bool) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", STUCK_WORKER.format(can_consume=can_consume)],
        env=child_environment(settings),
        cwd=REPOSITORY,
    )


def test_it_ends_with_its_children_when_messages_wait(settings: Settings) -> None:
    worker = start(settings, can_consume=False)
    children: list[psutil.Process] = []

    def has_children() -> bool:
        children[:] = psutil.Process(worker.pid).children(recursive=True)
        return bool(children)

    with (
        worker,
        closing(Database(settings.sqlalchemy_url)) as database,
        closing(JobPublisher(Broker(settings.broker_url, database))) as publisher,
    ):
        try:
            wait_until(has_children)
            assert worker.poll() is None
            publisher.probe(Queue.EMBED, expires_s=60)
            assert worker.wait(60) == ExitCode.TRY_AGAIN
            wait_until(lambda: not any(child.is_running() for child in children))
        finally:
            worker.kill()
