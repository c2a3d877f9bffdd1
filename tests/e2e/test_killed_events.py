"""Whoever is killed while storing, importing, pruning or forgetting events loses and doubles none.

And what is derived of events is what the stored ones say, at each moment.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from db.events.users import user_key
from db.schema_migration import upgrade
from db.session import Database
from models.domain.clock import utc_now
from models.domain.recommendations.events import EventKind
from ops.machine import child_environment
from ops.processes import marketlens_command
from settings import Settings
from tests.support.event_model import Row, assert_is_as_counted, rows_of
from tests.support.event_program import (
    BATCHES,
    KEPT,
    LISTINGS,
    NOW,
    PER_BATCH,
    USERS,
    batch,
    forget_all,
    prune_all,
    store_all,
)
from tests.support.events import add_listings

pytestmark = pytest.mark.e2e

KILLS: Final = int(os.environ.get("MARKETLENS_TEST_KILLS", "3"))
"""`make faults` wants more."""
ROOT: Final = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, new_postgres_url: Callable[[], str]) -> str:
    made = new_postgres_url() if request.param == "postgresql" else f"sqlite:///{tmp_path}/m.db"
    upgrade(made)
    return made


@pytest.fixture
def moments(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.node.name)


def killed_at_work(command: list[str], environment: dict[str, str], after_s: float) -> bool:
    """Start a program and kill it some time after it has begun; whether it was at work."""
    with subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after_s)
        process.kill()
        return process.wait() == -signal.SIGKILL


def kill_often(url: str, what: str, moments: random.Random, check: Callable[[], None]) -> None:
    command = [sys.executable, "-m", "tests.support.event_program", url, what]
    for _ in range(KILLS):
        killed_at_work(command, dict(os.environ), moments.uniform(0, 0.7))
        check()


def kept(rows: list[Row]) -> set[str | bytes]:
    return {row.event for row in rows}


def test_killed_while_storing(url: str, moments: random.Random) -> None:
    database = Database(url)
    add_listings(database, LISTINGS, NOW)

    def check() -> None:
        # Whole batches, in their order.
        assert len(rows_of(database)) % PER_BATCH == 0
        assert_is_as_counted(database)

    kill_often(url, "store", moments, check)
    store_all(database)
    check()
    assert [row.at for row in rows_of(database)] == [
        event.at for number in range(BATCHES) for event in batch(number)
    ]
    database.close()


@pytest.mark.parametrize("what", ["prune", "forget"])
def test_killed_while_deleting(url: str, moments: random.Random, what: str) -> None:
    database = Database(url)
    add_listings(database, LISTINGS, NOW)
    store_all(database)
    all_rows = rows_of(database)
    with database.read() as session:
        gone = {user_key(session, f"user {number}") for number in range(0, USERS, 2)}
    if what == "prune":
        # What is hidden stays: all listings are for sale.
        staying = [row for row in all_rows if row.at >= NOW - KEPT or row.kind is EventKind.HIDDEN]
    else:
        staying = [row for row in all_rows if row.user not in gone]

    def check() -> None:
        rows = rows_of(database)
        assert kept(rows) >= kept(staying)
        if what == "forget":
            # All of a user, or nothing.
            left = [len([row for row in rows if row.user == user]) for user in gone]
            whole = [len([row for row in all_rows if row.user == user]) for user in gone]
            assert all(now in {0, then} for now, then in zip(left, whole, strict=True))
        assert_is_as_counted(database)

    kill_often(url, what, moments, check)
    if what == "prune":
        prune_all(database)
    else:
        forget_all(database)
    assert rows_of(database) == staying
    assert_is_as_counted(database)
    database.close()


def test_killed_while_importing(url: str, moments: random.Random, tmp_path: Path) -> None:
    database = Database(url)
    add_listings(database, LISTINGS, NOW)
    file = tmp_path / "events.ndjson"
    rows = [
        {
            "event_id": event.event_id,
            "user": event.user,
            "type": event.kind,
            "listing_id": str(event.listing_id),
            # Of today: what is older than events are kept is not taken.
            "at": (event.at - NOW + utc_now()).isoformat(),
        }
        for number in range(BATCHES)
        for event in batch(number)
    ]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    environment = child_environment(
        Settings(data_dir=tmp_path / "var", database_url=url, events_kept_days=1000)
    )
    command = marketlens_command("events", "import", str(file), "--json")
    for _ in range(KILLS):
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
            before = len(rows_of(database))
            deadline = time.monotonic() + 60
            while len(rows_of(database)) == before and process.poll() is None:
                assert time.monotonic() < deadline
            time.sleep(moments.uniform(0, 0.2))
            process.kill()
        assert len(rows_of(database)) % 1000 == 0
        assert_is_as_counted(database)
    finished = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert len(rows_of(database)) == BATCHES * PER_BATCH
    assert_is_as_counted(database)
    told = json.loads(finished.stdout.splitlines()[-1])
    assert told["stored"] + told["duplicates"] == BATCHES * PER_BATCH
    database.close()
