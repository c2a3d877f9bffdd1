"""Killed at steps that reach the disk: a backup leaves no snapshot, a restore is run again."""

import os
import signal
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from alembic import command

from db.catalogue.listings import ListingData
from db.schema_migration import alembic_config
from db.session import Database
from models.domain.errors import Conflict, SetupError
from ops.backup.destination import Destination
from ops.backup.note import require_restored
from tests.support.catalogue import add_listing
from tests.support.deployments import Place, backed_up, contents, forget, restored

STEPS = 400
"""More than either takes."""


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do it in a process that is killed at this call that changes what is on the disk.

    False if the work was done before.
    """
    child = os.fork()
    if child == 0:
        try:
            _kill_at(step)
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _kill_at(step: int) -> None:
    left = step

    def killing(function: Callable[..., object]) -> Callable[..., object]:
        def called(*arguments: object, **named: object) -> object:
            nonlocal left
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return called

    for name in ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir"):
        setattr(os, name, killing(getattr(os, name)))


@pytest.mark.parametrize("stride", [7])
def test_a_killed_backup_is_none(
    sqlite_source: Place, target: Place, destination: Path, stride: int
) -> None:
    at = Destination(str(destination))
    whole = backed_up(sqlite_source.deployment, destination)
    kills = 0
    for step in range(1, STEPS, stride):
        forget(destination / "photos")
        forget(destination / "files")
        forget(destination / "snapshots")
        if not killed_at(step, lambda: backed_up(sqlite_source.deployment, destination)):
            break
        kills += 1
        assert at.snapshots() == []
    assert kills > 5
    # After all of them, the next is as good as the first.
    again = backed_up(sqlite_source.deployment, destination)
    assert again.photos == whole.photos
    restored(target, destination)
    assert contents(target.deployment) == contents(sqlite_source.deployment)


@pytest.mark.parametrize("stride", [9])
def test_a_killed_restore_is_run_again(
    sqlite_source: Place, target: Place, destination: Path, stride: int
) -> None:
    backed_up(sqlite_source.deployment, destination)
    expected = contents(sqlite_source.deployment)
    kills, begun = 0, 0
    for step in range(1, STEPS, stride):
        forget(target.folder)
        if not killed_at(step, lambda: restored(target, destination)):
            break
        kills += 1
        try:
            require_restored(target.folder)
        except SetupError:
            begun += 1
        with suppress(Conflict):  # it was killed after its last step
            restored(target, destination)
        assert contents(target.deployment) == expected
        assert not list(target.folder.glob(".restoring*"))
        require_restored(target.folder)
    assert kills > 5
    assert begun > 2


def test_a_killed_replacement_replaces_when_run_again(
    sqlite_source: Place, target: Place, destination: Path
) -> None:
    backed_up(sqlite_source.deployment, destination)
    restored(target, destination)
    with closing(Database(target.database_url)) as database, database.write() as session:
        add_listing(session, [], listing=ListingData(UUID(int=77), "Posted since"))
    for step in range(1, STEPS, 9):
        killed = killed_at(step, lambda: restored(target, destination, replace=True))
        try:
            require_restored(target.folder)
        except SetupError:
            break
        assert killed, "it was never killed while it replaced"
    # The database is of the same deployment: it must not be taken for the restored one.
    assert "Posted since" in repr(contents(target.deployment)["rows"])
    restored(target, destination)
    assert contents(target.deployment) == contents(sqlite_source.deployment)


def test_a_restore_to_postgresql_is_killed_and_run_again(
    sqlite_source: Place, tmp_path: Path, destination: Path, new_postgres_url: Callable[[], str]
) -> None:
    """Its tables are made, filled in one transaction, and migrated: any of it may be the last."""
    backed_up(sqlite_source.deployment, destination)
    expected = contents(sqlite_source.deployment)
    target = Place(tmp_path / "target", new_postgres_url())
    for statement in ("DROP TABLE", "COPY", "setval"):
        forget(target.folder)
        target.folder.mkdir()
        assert killed_at_statement(statement, lambda: restored(target, destination))
        with pytest.raises(SetupError):
            require_restored(target.folder)
        restored(target, destination)
        assert contents(target.deployment) == expected
        with pytest.raises(Conflict):
            restored(target, destination)
        # Empty again.
        command.downgrade(alembic_config(target.database_url), "base")
        command.upgrade(alembic_config(target.database_url), "head")


def killed_at_statement(beginning: str, work: Callable[[], object]) -> bool:
    """Do it in a process that is killed at the first statement that has these words."""
    child = os.fork()
    if child == 0:
        try:
            for cursor in (psycopg.Cursor, psycopg.ClientCursor):
                for name in ("execute", "copy"):
                    _kill_at_words(cursor, name, beginning)
            work()
        except BaseException:  # noqa: BLE001 - the test sees that it was not killed
            traceback.print_exc()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _kill_at_words(cursor: Any, name: str, words: str) -> None:
    original = getattr(cursor, name)

    def called(self: Any, query: Any, *arguments: Any, **named: Any) -> Any:
        text = query.decode() if isinstance(query, bytes) else str(query)
        if words in " ".join(text.split()):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, query, *arguments, **named)

    setattr(cursor, name, called)
