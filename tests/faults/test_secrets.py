"""Planted secrets are in nothing that is shown or kept in clear, and planted code does not run."""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final
from uuid import UUID, uuid4

import httpx2
import psutil
import pytest
import torch
from celery import Celery
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway
from sqlalchemy import create_engine, text

from db.access.keys import create_key
from db.jobs.accepting import accept
from db.jobs.reading import get
from db.session import Database, database_url
from models.domain.clock import utc_now
from models.domain.types import JobType, Scope
from ops.machine import Machine, child_environment, machine_up
from ops.processes import marketlens_command
from ops.redis_server import find_redis_server
from settings import Settings
from tests.support.faults import in_rounds
from tests.support.http import KETTLE, listing_form
from tests.support.machine import TIMEOUT_S, marketlens
from tests.support.payloads import some_payload
from tests.support.pictures import jpeg
from tests.support.ports import free_port
from tests.support.s3 import SECRET_KEY, photo_bucket, s3_server
from tests.support.waiting import wait_until
from tests.support.webhooks import receiver
from workers.queue.broker import CONSUMER_TRANSPORT, Broker, create_celery
from workers.queue.messages import RUN_JOB, Queue
from workers.queue.publisher import JobPublisher

pytestmark = pytest.mark.e2e

PLANTED: Final = {
    "database password": "planted-dbpw-7731",
    "Redis password": "planted-redispw-7732",
    "S3 key": SECRET_KEY,
    "geocoder's key": "planted-geokey-7733",
    "user's id": "planted-buyer-7734",
    "webhook's URL": "planted-hook-7735",
    "idempotency key": "planted-idem-7736",
}


@dataclass
class Site:
    """A running machine with all secrets planted, and everything that it has shown."""

    machine: Machine
    redis: subprocess.Popen[bytes]
    stop_store: Callable[[], None]
    http: httpx2.Client
    secrets: dict[str, str]
    shown: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, **given: Any) -> httpx2.Response:
        """A request, whose answer is kept with its headers."""
        answer = self.http.request(method, path, **given)
        name = f"answer {len(self.shown)}: {method} {path.partition('?')[0]} {answer.status_code}"
        self.shown[name] = answer.text + repr(answer.headers.raw)
        return answer

    def run(self, *words: str) -> None:
        """A command, whose output is kept."""
        done = marketlens(self.machine.environment, *words)
        self.shown[f"command {' '.join(words[:2])}"] = done.stdout + done.stderr

    def look(self) -> None:
        """Keep the titles of all processes, and what their logs have."""
        for process, title in titles():
            if process.pid != self.redis.pid:
                self.shown[f"process {process.pid}"] = title
        for log in self.machine.settings.log_dir.iterdir():
            self.shown[log.name] = log.read_text(errors="replace")

    def leaks(self) -> list[tuple[str, str]]:
        """What is shown where. Answers may have what the caller has said, and is to know."""
        return [
            (name, where)
            for where, words in self.shown.items()
            for name, secret in self.secrets.items()
            if secret in words
        ]


def titles() -> Iterator[tuple[psutil.Process, str]]:
    """What `ps` shows of this process' children and theirs."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            yield process, f"{process.name()} {' '.join(process.cmdline())}"


@contextmanager
def locked_redis() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Redis that wants a password, and its URL with that."""
    port, password = free_port(), PLANTED["Redis password"]
    command = [
        *(str(find_redis_server()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""),
        *("--requirepass", password),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            url = f"redis://:{password}@127.0.0.1:{port}/0"

            def answers() -> bool:
                try:
                    return bool(Redis.from_url(url).ping())
                except RedisAway:
                    return False

            wait_until(answers, TIMEOUT_S)
            yield process, url
        finally:
            process.kill()


@pytest.fixture
def site(
    data_dir: Path, new_postgres_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    plain = new_postgres_url()
    with (
        s3_server() as s3_port,
        photo_bucket(s3_port, monkeypatch) as store_url,
        locked_redis() as (redis, redis_url),
    ):
        settings = Settings.model_validate(
            {
                "data_dir": data_dir,
                # The test's server lets everybody in, whatever the password is.
                "database_url": plain.replace(
                    "postgres@", f"postgres:{PLANTED['database password']}@"
                ),
                "redis_url": redis_url,
                "store_url": store_url,
                "geocoder_key": PLANTED["geocoder's key"],
                "webhook_hosts": "127.0.0.1",
                "encoder": "hog",
                "port": free_port(),
                "log_level": "DEBUG",
            }
        )

        def stop_store() -> None:
            for process, title in titles():
                if "moto.server" in title:
                    process.kill()

        with (
            machine_up(settings, print) as machine,
            httpx2.Client(base_url=machine.url, timeout=TIMEOUT_S) as http,
        ):
            machine.wait_until_ready()
            with machine_database(settings) as database, database.write() as session:
                key = create_key(session, "shop", list(Scope), utc_now())
            http.headers["Authorization"] = f"Bearer {key}"
            yield Site(machine, redis, stop_store, http, {**PLANTED, "API key": key})


class Planted:
    """An object whose unpickling makes a file."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {shlex.quote(str(self._marker))}",)


def test_a_pickle_on_the_broker_is_refused_and_the_queue_goes_on(
    data_dir: Path, tmp_path: Path, redis_url: str
) -> None:
    marker = tmp_path / "ran"
    settings = Settings(data_dir=data_dir, encoder="hog", redis_url=redis_url)
    environment = child_environment(settings)
    assert marketlens(environment, "migrate").returncode == 0
    with machine_database(settings) as database:
        broker = Broker(settings.broker_url, database)
        plant(create_celery(broker, CONSUMER_TRANSPORT), Planted(marker))
        with database.write() as session:
            job = accept(session, some_payload(JobType.SEARCH), job_id=uuid4(), now=utc_now())
        publisher = JobPublisher(broker)
        publisher.publish([job])
        with (tmp_path / "log").open("wb") as log, running_worker(environment, log):
            wait_until(lambda: has_ended(database, job.id), 2 * TIMEOUT_S)
        publisher.close()
    assert "untrusted content" in (tmp_path / "log").read_text()
    assert not marker.exists()


def plant(celery: Celery, planted: Planted) -> None:
    """Send what whoever reaches the broker could: a pickle as a task of ours, and a bare one."""
    queue = Queue.SEARCH.value
    celery.send_task(RUN_JOB, args=[planted], serializer="pickle", queue=queue)
    with celery.connection_for_write() as connection, connection.SimpleQueue(queue) as simple:
        simple.put(planted, serializer="pickle")
    celery.close()


@contextmanager
def running_worker(environment: dict[str, str], log: IO[bytes]) -> Iterator[None]:
    command = marketlens_command("worker", Queue.SEARCH.value)
    with subprocess.Popen(command, env=environment, stdout=log, stderr=log) as worker:
        try:
            yield
        finally:
            worker.terminate()


def has_ended(database: Database, job_id: UUID) -> bool:
    with database.read() as session:
        return get(session, job_id).status.terminal


def test_code_in_weights_is_refused_and_does_not_run(data_dir: Path, tmp_path: Path) -> None:
    marker, weights = tmp_path / "ran", tmp_path / "weights.pth"
    environment = child_environment(Settings(data_dir=data_dir, encoder="resnet50"))
    assert marketlens(environment, "migrate").returncode == 0
    for content in (Planted(marker), {"fc.weight": Planted(marker)}):
        torch.save(content, weights)
        refused = marketlens(environment, "encoder", "register", str(weights))
        assert refused.returncode == 2, refused.stderr
        assert "code is never loaded" in refused.stderr
        assert not marker.exists()
    # The plant works, where a pickle is trusted.
    torch.load(weights, weights_only=False)
    assert marker.exists()


@contextmanager
def machine_database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.sqlalchemy_url)
    yield database
    database.close()


@in_rounds
def test_secrets_are_in_no_log_answer_title_or_report(site: Site) -> None:
    user, hook = PLANTED["user's id"], PLANTED["webhook's URL"]
    with receiver() as server:
        saved = site.http.post(
            "/v1/saved-searches",
            files={"photo": jpeg(1)},
            data={
                "name": "s",
                "min_similarity": "0.9",
                "webhook": json.dumps({"url": f"{server.url}/{hook}"}),
            },
        ).raise_for_status()
        # Shown once, to who saves the search: what it is, and where it leads.
        site.secrets["webhook's secret"] = saved.json()["webhook"]["secret"]
        server.secrets.append(site.secrets["webhook's secret"])
        made = site.ask("POST", "/v1/listings", **listing_form(KETTLE, jpeg(1)))
        listing = made.json()["listing_id"]
        wait_until(lambda: bool(server.received), TIMEOUT_S)
    event = {"event_id": "1", "user": user, "type": "viewed", "listing_id": listing}
    site.ask("POST", "/v1/events", json={"events": [{**event, "at": utc_now().isoformat()}]})
    named = {"Idempotency-Key": PLANTED["idempotency key"], "Prefer": "wait=20"}
    site.ask("POST", "/v1/recommendations", json={"user": user}, headers=named)
    site.ask("POST", "/v1/recommendations", json={"user": user, "k": "?"}, headers=named)
    site.ask("DELETE", f"/v1/users/{user}")
    site.ask("POST", "/v1/admin/duplicates")
    for path in ("/metrics", "/healthz", "/readyz", "/openapi.json", "/v1/admin/audit", "/v1/jobs"):
        site.ask("GET", path)
    site.ask("GET", "/v1/listings", headers={"Authorization": f"Bearer {site.secrets['API key']}x"})
    site.ask("GET", "/v1/listings", headers={"Authorization": f"Basic {site.secrets['API key']}"})
    site.ask("POST", "/v1/searches", content=b"{", headers={"Content-Type": "application/json"})
    for words in (("doctor",), ("audit", "--json"), ("keys", "list", "--json"), ("index", "list")):
        site.run(*words)
    site.look()
    break_everything(site)
    site.look()
    assert len(site.shown) > 30
    assert "Traceback" in "".join(site.shown.values())
    assert site.leaks() == []


def break_everything(site: Site) -> None:
    """Take the broker, the store and the database away, one after the other."""
    photo = {"photo": ("photo.jpg", jpeg(2), "image/jpeg")}
    site.redis.kill()
    site.ask("POST", "/v1/searches", files=photo)
    site.stop_store()
    site.ask("POST", "/v1/searches", files={"photo": ("photo.jpg", jpeg(3), "image/jpeg")})
    # As a defect that lets a statement fail whose parameters are secret.
    url = database_url(site.machine.settings.sqlalchemy_url)
    maintenance = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with machine_database(site.machine.settings) as database, database.write() as session:
        session.execute(text("ALTER TABLE saved_searches ADD CHECK (false) NOT VALID"))
    hook = {"url": "http://127.0.0.1/" + PLANTED["webhook's URL"]}
    site.ask("POST", "/v1/saved-searches", json={"name": "n", "text": "red", "webhook": hook})
    with maintenance.connect() as connection:
        connection.execute(text(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS false'))
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": url.database},
        )
        site.ask("GET", "/readyz")
        site.ask("GET", "/v1/listings")
        for words in (("keys", "list"), ("doctor",), ("worker", "search")):
            site.run(*words)
        time.sleep(1)
        connection.execute(text(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS true'))
    maintenance.dispose()
