"""What `marketlens doctor` finds, with real files, ports, databases and servers."""

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from command_line.resources import database_of
from db.consumption import RELAY, record_consumption
from db.schema_migration import upgrade
from db.session import Database
from marketlens import app
from models.domain.errors import ExitCode, SetupError
from ops.doctor import machine
from ops.doctor.examination import examine, require_room
from ops.doctor.findings import Finding, Verdict
from settings import Settings
from workers.queue.messages import Queue


class DiskUsage(NamedTuple):
    """As `shutil.disk_usage` returns it."""

    total: int
    used: int
    free: int


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"data_dir": tmp_path / "data", "port": 0})


@pytest.fixture
def migrated(settings: Settings) -> Settings:
    upgrade(settings.sqlalchemy_url)
    return settings


def found(settings: Settings, what: str) -> Finding:
    (finding,) = (one for one in examine(settings) if one.what == what)
    return finding


def changed(settings: Settings, **values: object) -> Settings:
    return settings.model_copy(update=values)


def test_an_empty_machine_has_all_but_a_database(settings: Settings) -> None:
    worst = {one.what for one in examine(settings) if one.verdict is not Verdict.OK}
    assert worst == {"database"}
    assert not settings.data_dir.exists()  # nothing was made


def test_a_machine_on_which_everything_runs_is_well(migrated: Settings) -> None:
    with database_of(migrated) as database, database.write() as session:
        for queue in (*Queue, RELAY):
            record_consumption(session, queue, database.now(), None)
    assert {one.verdict for one in examine(migrated)} == {Verdict.OK}


def test_queues_that_nobody_consumes_are_named(migrated: Settings) -> None:
    assert found(migrated, "workers").found == "No worker runs."
    with database_of(migrated) as database, database.write() as session:
        now = database.now()
        record_consumption(session, Queue.SEARCH, now, None)
        record_consumption(session, Queue.EMBED, now - timedelta(minutes=1), None)
    finding = found(migrated, "workers")
    assert finding.verdict is Verdict.WARNING
    assert finding.found == "Not consumed in the last half minute: embed, index, relay."


def test_weights_that_are_none_are_told_before_they_are_copied(
    migrated: Settings, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.txt"
    weights.write_text("not weights")
    finding = found(changed(migrated, weights=weights), "encoder")
    assert finding.verdict is Verdict.PROBLEM
    assert str(weights) in finding.found
    assert not migrated.models_dir.exists()


def test_a_store_that_is_none(settings: Settings) -> None:
    finding = found(changed(settings, store_url="s3s://nowhere"), "photos")
    assert finding.verdict is Verdict.PROBLEM
    assert finding.found.startswith("MARKETLENS_STORE_URL can't be used")


def test_a_broker_that_is_not_there(settings: Settings) -> None:
    finding = found(changed(settings, redis_url="redis://:pa55word@127.0.0.1:1"), "redis")
    assert finding.verdict is Verdict.PROBLEM
    assert "MARKETLENS_REDIS_URL" in finding.found
    assert "pa55word" not in finding.found


def test_a_database_that_does_not_answer_is_one_problem(settings: Settings) -> None:
    away = changed(settings, database_url="postgresql://nobody:pa55word@127.0.0.1:1/shop")
    problems = [one for one in examine(away) if one.verdict is Verdict.PROBLEM]
    assert [one.what for one in problems] == ["database"]
    assert "pa55word" not in problems[0].found


def test_another_releases_schema(any_database: Database, settings: Settings) -> None:
    url = any_database.engine.url.render_as_string(hide_password=False)
    here = changed(settings, database_url=url)
    assert found(here, "database").verdict is Verdict.OK
    with any_database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    finding = found(here, "database")
    assert finding.verdict is Verdict.WARNING
    assert finding.advice == "Run `marketlens migrate`."


def test_the_clock_of_the_database(any_database: Database) -> None:
    assert abs(any_database.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_clock_that_is_apart(migrated: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "ops.doctor.services.utc_now", lambda: datetime.now(UTC) + timedelta(hours=1)
    )
    finding = found(migrated, "clock")
    assert finding.verdict is Verdict.WARNING
    assert finding.found in {
        f"It is {seconds:,} s from the database's." for seconds in (3600, 3601)
    }


def test_a_port_that_another_program_has(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        finding = found(changed(settings, port=port), "port")
    assert finding.verdict is Verdict.WARNING
    assert f"Port {port}" in finding.found


def test_a_data_folder_that_is_a_file(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    finding = found(settings, "data")
    assert finding.verdict is Verdict.PROBLEM
    with pytest.raises(SetupError, match="MARKETLENS_DATA_DIR"):
        require_room(settings, print)


@pytest.mark.parametrize(
    ("free", "verdict"),
    [(2**28 - 1, Verdict.PROBLEM), (2**28, Verdict.WARNING), (2**31, Verdict.OK)],
)
def test_little_room_on_the_disk(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, verdict: Verdict
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: DiskUsage(2**40, 2**40 - free, free))
    assert found(settings, "disk").verdict is verdict
    said: list[str] = []
    if verdict is Verdict.PROBLEM:
        with pytest.raises(SetupError, match="GiB are free"):
            require_room(settings, said.append)
    else:
        require_room(settings, said.append)
        assert len(said) == (verdict is Verdict.WARNING)


def test_memory_as_linux_says_it(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    assert machine.available_memory(meminfo) is None
    meminfo.write_text("MemTotal: 2048 kB\nMemAvailable:    1024 kB\n")
    assert machine.available_memory(meminfo) == 2**20


def test_little_memory(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = tmp_path / "meminfo"
    monkeypatch.setattr(machine, "_MEMORY", meminfo)
    for kibibytes, verdict in [(1_000, Verdict.PROBLEM), (2**20, Verdict.WARNING)]:
        meminfo.write_text(f"MemAvailable: {kibibytes} kB\n")
        assert found(settings, "memory").verdict is verdict


def test_a_misspelt_variable(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETLENS_STOR_URL", "somewhere")
    finding = found(settings, "settings")
    assert finding.verdict is Verdict.WARNING
    assert finding.advice == "Did you mean MARKETLENS_STORE_URL?"


def test_the_command_ends_by_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETLENS_DATA_DIR", str(tmp_path))
    run = CliRunner().invoke
    ended = run(app, ["doctor"])
    assert ended.exit_code == ExitCode.LOOK_AT_IT
    assert "There is no database yet." in ended.stdout
    monkeypatch.setenv("MARKETLENS_STORE_URL", "s3s://nowhere")
    ended = run(app, ["doctor", "--json"])
    assert ended.exit_code == ExitCode.NOT_DONE
    findings = json.loads(ended.stdout)["findings"]
    assert {"what", "verdict", "found", "advice"} == set(findings[0])
    assert [one["what"] for one in findings if one["verdict"] == "problem"] == ["photos"]
