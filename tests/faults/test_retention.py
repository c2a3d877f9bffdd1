"""Retention and erasure are killed at any moment: nothing needed is lost, nothing stays behind."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from db.schema_migration import upgrade
from db.session import Database
from tests.support.faults import FaultRow, in_rounds, on_both_databases, record, rounds
from tests.support.retention_program import DELETED, ERASED, NOW, fill, run_all, state

pytestmark = pytest.mark.e2e

ROOT: Final = Path(__file__).parents[2]


def killed_at_work(url: str, folder: Path, after_s: float) -> bool:
    """Start the program and kill it some time after it has begun; whether it was at work."""
    command = [
        *(sys.executable, "-m", "tests.support.retention_program"),
        *(url, str(folder), NOW.isoformat()),
    ]
    with subprocess.Popen(
        command, env=dict(os.environ), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after_s)
        process.kill()
        return process.wait() == -signal.SIGKILL


def check_kills(url: Callable[[str], str], folder: Path, kind: str, kills: int) -> None:
    moments = random.Random(kind)
    undisturbed, killed = folder / "undisturbed", folder / "killed"
    databases = {}
    for where in (undisturbed, killed):
        where.mkdir()
        made = url(where.name)
        upgrade(made)
        databases[where] = Database(made)
        fill(databases[where], where, NOW - timedelta(days=45))
    run_all(databases[undisturbed], undisturbed, NOW)
    expected = state(databases[undisturbed], undisturbed)
    at_work = 0
    for _ in range(kills):
        at_work += killed_at_work(url(killed.name), killed, moments.uniform(0, 1.2))
        between = state(databases[killed], killed)
        for name in ("jobs", "listings", "shown", "photos", "vectors", "files"):
            # Nothing that stays in the end has gone on the way.
            assert expected[name] <= between[name], name  # type: ignore[operator]
    for _ in range(2):
        run_all(databases[killed], killed, NOW)
    ended = state(databases[killed], killed)
    # How many deleted listings one transaction has erased differs.
    deleted = [
        sum(row[1] for row in one.pop("erasures") if row[0] == "deleted")  # type: ignore[attr-defined]
        for one in (expected, ended)
    ]
    assert deleted == [len(set(DELETED) - set(ERASED))] * 2
    assert ended == expected
    for database in databases.values():
        database.close()
    shutil.rmtree(folder)
    record(FaultRow("retention and erasure killed", kind, kills, at_work))


def test_killed_while_it_removes(tmp_path: Path) -> None:
    check_kills(lambda name: f"sqlite:///{tmp_path}/{name}/m.db", tmp_path, "sqlite", 3)


@in_rounds
@on_both_databases
def test_killed_often_while_it_removes(
    kind: str, tmp_path: Path, new_postgres_url: Callable[[], str]
) -> None:
    urls: dict[str, str] = {}

    def url(name: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/{name}/m.db"
        return urls.setdefault(name, new_postgres_url())

    check_kills(url, tmp_path, kind, sum(10 for _ in rounds()))
