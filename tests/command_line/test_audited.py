"""Commands that change something leave an entry in the audit log."""

import json
import os
import pwd
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from command_line.audited import recorded, result_of, shown
from command_line.lazy import Audit, CommandRef, Table
from db.access.audit_log import list_entries
from db.session import Database
from marketlens import COMMANDS
from models.domain.errors import InvalidInput
from models.domain.types import AuditSource, Scope
from tests.support.commands import invoke, last_line

READING = {
    "demo",
    "up",
    "doctor",
    "metrics",
    "restart",
    "search",
    "similar",
    "backup create",
    "backup list",
    "backup verify",
    "sample",
    "fetch",
    "clean",
    "categories export",
    "keys list",
    "audit",
    "health",
    "api",
    "worker",
    "relay",
    "evaluate encoders",
    "evaluate recommendations",
    "encoder list",
    "index list",
    "index show",
    "index evaluate",
    "index plan",
    "recommend",
    "rank list",
    "rank show",
    "duplicates",
}
"""Commands that change neither database nor models, or only start what does."""


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MARKETLENS_DATA_DIR", str(tmp_path))
    return tmp_path


def entries(data_dir: Path) -> list[tuple[str, object, str | None]]:
    database = Database(f"sqlite:///{data_dir / 'marketlens.db'}")
    with database.read() as session:
        found = list_entries(session, 100)
    database.close()
    user = pwd.getpwuid(os.getuid()).pw_name
    assert all((row.source, row.actor) == (AuditSource.COMMAND, user) for row in found)
    return [(row.action, row.details, row.result) for row in reversed(found)]


def named(table: Table, *path: str) -> Iterator[tuple[str, CommandRef]]:
    for name, entry in table.items():
        if isinstance(entry, CommandRef):
            yield " ".join((*path, name)), entry
        else:
            yield from named(entry.commands, *path, name)


def test_every_command_is_recorded_or_known_to_change_nothing() -> None:
    assert {name for name, command in named(COMMANDS) if command.audit is None} == READING


def test_keys_are_made_listed_rotated_and_revoked(data_dir: Path) -> None:
    assert invoke("migrate").exit_code == 0
    made = invoke("keys", "create", "shop", "--scope", "search", "--expires", "90d").stdout.strip()
    rotated = invoke("keys", "rotate", "shop", "--overlap", "1h")
    assert rotated.stdout.startswith("mk_")
    assert "The earlier key is valid until" in rotated.stderr
    (old, new) = last_line(invoke("keys", "list", "--json"))["keys"]
    assert (old["name"], old["scopes"], old["status"]) == ("shop", ["search"], "valid")
    assert old["expires_at"] < new["expires_at"]
    assert old["last_used_at"] is None
    assert "shop" in invoke("keys", "list").stdout
    assert invoke("keys", "revoke", "shop").stdout == "Revoked 2 keys of 'shop'.\n"
    assert last_line(invoke("keys", "list", "--json"))["keys"] == []
    kept = last_line(invoke("keys", "list", "--revoked", "--json"))["keys"]
    assert {row["status"] for row in kept} == {"revoked"}
    assert invoke("keys", "rotate", "shop").exit_code == 2
    found = entries(data_dir)
    assert found == [
        ("migrate", {}, "done"),
        ("keys create", {"name": "shop", "scope": ["search"], "expires": "90 days"}, "done"),
        (
            "keys rotate",
            {"name": "shop", "overlap": f"{1 / 24:g} days"},
            "done",
        ),
        ("keys revoke", {"name": "shop"}, "done"),
        ("keys rotate", {"name": "shop", "overlap": "1 days"}, "not_found"),
    ]
    assert made not in json.dumps(found)
    shown_log = invoke("audit").stdout
    assert "keys" in shown_log
    assert made not in shown_log
    (newest,) = last_line(invoke("audit", "--json", "--limit", "1", "--since", "1h"))["entries"]
    assert (newest["action"], newest["result"]) == ("keys rotate", "not_found")
    assert invoke("audit", "--since", "0", "--json").exit_code == 0


@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize(
    "words",
    [
        ("keys", "create", "shop", "--scope", "search", "--expires", "soon"),
        ("keys", "create", "shop", "--scope", "search", "--expires", "0"),
        ("keys", "create", "shop", "--scope", "search", "--expires", "-1d"),
        ("keys", "create", "shop", "--scope", "search", "--expires", "9999999w"),
        ("keys", "create", "", "--scope", "search"),
        ("keys", "create", "a\nb", "--scope", "search"),
        ("keys", "create", "a" * 201, "--scope", "search"),
        ("keys", "create", "shop"),
    ],
)
def test_what_no_key_can_be_made_of_is_refused(words: tuple[str, ...]) -> None:
    invoke("migrate")
    assert invoke(*words).exit_code == 2
    assert last_line(invoke("keys", "list", "--json"))["keys"] == []


def test_a_dry_run_and_reading_leave_no_entry(data_dir: Path) -> None:
    invoke("migrate")
    before = entries(data_dir)
    invoke("index", "prune", "--dry-run", "--json")
    invoke("reconcile", "--json")
    invoke("reconcile", "--repair", "--dry-run", "--json")
    invoke("index", "list", "--json")
    assert entries(data_dir) == before


def test_without_a_database_none_is_made(data_dir: Path) -> None:
    assert invoke("rank", "rollback").exit_code == 2
    assert list(data_dir.iterdir()) == []


def test_what_replaces_the_database_is_recorded_in_the_new_one(data_dir: Path) -> None:
    invoke("migrate")
    invoke("keys", "create", "before", "--scope", "search")
    kept = (data_dir / "marketlens.db").read_bytes()

    def replace(**_: object) -> None:
        (data_dir / "marketlens.db").write_bytes(kept)
        # Its entries go on with the number that the replacing command's had in the one before.
        invoke("keys", "create", "other", "--scope", "search")

    recorded(replace, "restore", Audit())()
    assert [(action, result) for action, _, result in entries(data_dir)] == [
        ("migrate", "done"),
        ("keys create", "done"),
        ("keys create", "done"),
        ("restore", "done"),
    ]


def test_details_have_no_place_for_passwords() -> None:
    assert shown("sftp://ops:secret@host/feeds/autumn") == "autumn"
    assert shown(Path("/home/ops/weights.pth")) == "weights.pth"
    assert shown([Scope.SEARCH, 3, True]) == ["search", 3, True]
    assert shown(timedelta(hours=12)) == "0.5 days"


def test_an_error_is_recorded_by_its_code_and_never_by_its_text() -> None:
    assert result_of(InvalidInput("password=hunter2")) == "invalid_input"
    assert result_of(KeyboardInterrupt()) == "interrupted"
    assert result_of(ValueError("password=hunter2")) == "failed"
