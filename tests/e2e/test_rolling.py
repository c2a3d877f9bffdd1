"""An upgrade without a failed request: processes restarted one by one, the schema migrated."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest
from alembic import command
from sqlalchemy import func, inspect, select

from db.schema_migration import alembic_config, upgrade
from db.session import Database
from db.tables import Job, Listing
from models.domain.types import JobStatus
from ops.machine import child_environment
from ops.processes import PROCESSES, marketlens_command
from settings import Settings
from tests.support.api_process import api_processes
from tests.support.constant_load import TIMEOUT_S, under_load
from tests.support.faults import DATABASES, ROUNDS
from tests.support.machine import marketlens
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{head}"


def upgrade():
    op.add_column("listings", sa.Column("later", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("later", sa.Integer(), nullable=False, server_default="0"))
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
    op.create_index("ix_listings_later", "listings", ["later", "id"])
"""
"""What a migration of the next release may do."""


@contextmanager
def running(settings: Settings) -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    """`marketlens up`, as a user starts it; its process and its environment."""
    environment = child_environment(settings)
    process = subprocess.Popen(marketlens_command("up"), env=environment, stdout=subprocess.DEVNULL)
    try:

        def is_ready() -> bool:
            assert process.poll() is None
            try:
                return httpx2.get(f"{url_of(settings)}/readyz").status_code == 200
            except httpx2.TransportError:
                return False

        wait_until(is_ready, TIMEOUT_S * 2)
        yield psutil.Process(process.pid), environment
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def url_of(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.port}"


def pids_of(up: psutil.Process) -> dict[str, int]:
    """The process under each name, by its command line."""
    found = {}
    for child in up.children():
        words = child.cmdline()
        for spec in PROCESSES:
            if tuple(words[3 : 3 + len(spec.arguments)]) == spec.arguments:
                found[spec.name] = child.pid
    return found


def migrate_to_the_next_release(url: str, folder: Path) -> None:
    """Run a migration that this release does not know, as the next one would."""
    config = alembic_config(url)
    versions = Path(__file__).parents[2] / "db" / "migrations" / "versions"
    with closing(Database(url)) as database, database.read() as session:
        head = session.connection().exec_driver_sql("SELECT version_num FROM alembic_version")
        (folder / "next.py").write_text(NEXT.format(head=head.scalar_one()))
    config.set_main_option("version_locations", f"{versions} {folder}")
    config.set_main_option("path_separator", "space")
    command.upgrade(config, "next")


def all_is_done(database: Database) -> bool:
    """Whether every accepted job has ended."""
    with database.read() as session:
        statuses = set(session.scalars(select(Job.status).distinct()))
    assert JobStatus.FAILED not in statuses
    return statuses <= {JobStatus.SUCCEEDED, JobStatus.CANCELLED}


@pytest.mark.parametrize("kind", DATABASES if ROUNDS else ["sqlite"])
def test_no_request_fails_while_everything_is_restarted_and_migrated(
    kind: str,
    sample: Path,
    data_dir: Path,
    tmp_path: Path,
    new_postgres_url: Callable[[], str],
) -> None:
    settings = Settings(
        data_dir=data_dir,
        encoder="hog",
        port=8440,
        database_url=new_postgres_url() if kind == "postgresql" else None,
    )
    with (
        running(settings) as (up, environment),
        closing(Database(settings.sqlalchemy_url)) as database,
    ):
        seeded = marketlens(environment, "seed", str(sample))
        assert seeded.returncode == 0, seeded.stderr
        with database.read() as session:
            listings = [str(row) for row in session.scalars(select(Listing.id))]
        before = pids_of(up)
        assert before.keys() == {spec.name for spec in PROCESSES}
        with under_load(url_of(settings), listings, threads=1) as ledger:
            wait_until(lambda: ledger.answered > 20, TIMEOUT_S)
            restarted = marketlens(environment, "restart")
            assert restarted.returncode == 0, restarted.stderr
            done = ledger.answered
            wait_until(lambda: ledger.answered > done + 20, TIMEOUT_S)
            # The processes that run now are those of the release before the next one.
            migrate_to_the_next_release(settings.sqlalchemy_url, tmp_path)
            done = ledger.answered
            wait_until(lambda: ledger.answered > done + 20, TIMEOUT_S)
        assert ledger.failures == []
        assert inspect(database.engine).has_table("later")
        wait_until(
            lambda: not set(before.values()) & {child.pid for child in up.children()}, TIMEOUT_S
        )
        assert pids_of(up).keys() == before.keys()
        wait_until(lambda: all_is_done(database), TIMEOUT_S)
        with database.read() as session:
            stored = {str(row) for row in session.scalars(select(Listing.id))}
        assert stored >= set(ledger.listings)
    assert marketlens(environment, "restart").returncode == 2


def test_an_api_that_is_told_to_stop_answers_all_that_it_has_and_says_that_it_goes(
    data_dir: Path, redis_url: str
) -> None:
    settings = Settings(data_dir=data_dir, encoder="hog", redis_url=redis_url, drain_seconds=3)
    upgrade(settings.sqlalchemy_url)
    with (
        api_processes(settings) as (api,),
        httpx2.Client(base_url=api.url, timeout=TIMEOUT_S) as http,
        ThreadPoolExecutor(1) as pool,
    ):
        listing = {"text": "a lamp"}
        assert "connection" not in http.get("/healthz").headers
        # Nobody works: it is held.
        held = pool.submit(
            httpx2.post,
            f"{api.url}/v1/searches",
            json=listing,
            headers={"Prefer": "wait=30"},
            timeout=TIMEOUT_S,
        )
        wait_until(lambda: jobs_in(settings) == 1, TIMEOUT_S)
        api.process.send_signal(signal.SIGTERM)

        def refuses() -> bool:
            ready = http.get("/readyz").json()
            return ready["checks"].get("not_stopping") is False

        wait_until(refuses, TIMEOUT_S)
        assert held.result().status_code == 202
        answer = http.post("/v1/searches", json=listing, headers={"Prefer": "wait=30"})
        assert answer.status_code == 202
        assert answer.headers["connection"] == "close"
        assert api.process.wait(TIMEOUT_S) == -signal.SIGTERM


def jobs_in(settings: Settings) -> int:
    with closing(Database(settings.sqlalchemy_url)) as database, database.read() as session:
        return session.scalar(select(func.count()).select_from(Job)) or 0
