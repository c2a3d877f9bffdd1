"""Two deployments on one Redis database: each does its own jobs, and drops none of the other's."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from redis import Redis

from db.consumption import consumed_lately
from db.deployment import deployment_id
from db.jobs import accepting, reading
from db.schema_migration import upgrade
from db.session import Database
from db.tables import Job
from models.domain.clock import utc_now
from models.domain.types import JobType
from ops.machine import child_environment
from ops.processes import marketlens_command
from settings import Settings
from tests.support.payloads import some_payload
from tests.support.redis import empty
from tests.support.waiting import wait_until
from workers.queue.broker import CONSUMER_TRANSPORT, Broker, create_celery
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher

JOBS = 6


@dataclass(frozen=True)
class Deployment:
    """One deployment: its settings, its database, and a publisher as its API has one."""

    settings: Settings
    database: Database
    publisher: JobPublisher

    def accept(self) -> Job:
        """A query, committed and then published; there is no relay to publish it again."""
        with self.database.write() as session:
            payload = some_payload(JobType.SEARCH)
            job = accepting.accept(session, payload, job_id=uuid4(), now=utc_now())
        assert self.publisher.publish([job]) == [job.id]
        return job

    def attempts(self, job_id: UUID) -> tuple[bool, int]:
        """Whether a job has ended, and in how many attempts."""
        with self.database.read() as session:
            job = reading.get(session, job_id)
        return job.status.terminal, job.attempt

    def is_consumed(self) -> bool:
        self.publisher.probe(Queue.SEARCH, expires_s=5)
        with self.database.read() as session:
            return Queue.SEARCH.value in consumed_lately(session, utc_now())


@contextmanager
def deployed(folder: Path, redis_url: str) -> Iterator[Deployment]:
    """A deployment with a database of its own and a search worker, on this Redis."""
    settings = Settings(data_dir=folder, redis_url=redis_url, encoder="hog", auto_optimise=False)
    upgrade(settings.sqlalchemy_url)
    with closing(Database(settings.sqlalchemy_url)) as database:
        publisher = JobPublisher(Broker(redis_url, database))
        worker = subprocess.Popen(
            marketlens_command("worker", "search"),
            env=child_environment(settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Deployment(settings, database, publisher)
        finally:
            worker.terminate()
            worker.wait()
            publisher.close()


def test_a_job_is_done_by_its_own_worker_at_the_first_message(
    tmp_path: Path, redis_url: str
) -> None:
    empty(redis_url)
    with ExitStack() as stack:
        both = [
            stack.enter_context(deployed(tmp_path / name, redis_url)) for name in ("one", "two")
        ]
        wait_until(lambda: all(place.is_consumed() for place in both))
        accepted = [(place, place.accept().id) for _ in range(JOBS) for place in both]
        # Who got a message of the other's would find no such job, and the message would be gone.
        wait_until(lambda: all(place.attempts(job_id)[0] for place, job_id in accepted))
        assert {place.attempts(job_id)[1] for place, job_id in accepted} == {1}
        owned = [Broker(redis_url, place.database).prefix for place in both]
        with Redis(unix_socket_path=redis_url.partition("://")[2]) as redis:
            keys = [key.decode() for key in redis.keys("*")]
    assert len(set(owned)) == 2
    assert keys
    assert all(key.startswith(tuple(owned)) for key in keys), keys


def test_what_a_killed_worker_had_taken_is_restored_to_its_own_queue(
    redis_url: str, database: Database
) -> None:
    """Kombu's keys of unacknowledged messages have the prefix as well."""
    empty(redis_url)
    broker = Broker(redis_url, database)
    JobPublisher(broker).probe(Queue.SEARCH, expires_s=60)
    with create_celery(broker, CONSUMER_TRANSPORT).connection_for_read() as connection:
        queue = connection.SimpleQueue(Queue.SEARCH.value)
        message = queue.get(timeout=1)
        with Redis.from_url(broker.redis_url) as redis:
            assert redis.hlen(f"{broker.prefix}unacked") == 1
            assert not redis.exists("unacked", "unacked_index")
        message.reject(requeue=True)
        assert queue.get(timeout=1).payload == message.payload
        queue.close()


def test_the_id_is_the_databases_own_and_stays(any_database: Database) -> None:
    def read() -> str:
        with any_database.read() as session:
            return deployment_id(session)

    before = read()
    upgrade(any_database.engine.url.render_as_string(hide_password=False))
    assert read() == before
    assert len(before) == 32


@pytest.mark.parametrize(
    "url", ["redis://h/0", "rediss://:a%40b@[::1]:1/2", "unix:///a%20b/r.sock"]
)
def test_both_libraries_are_given_the_same_place(url: str, database: Database) -> None:
    broker = Broker(url, database)
    assert broker.celery_url.partition("://")[2] == broker.redis_url.partition("://")[2]
