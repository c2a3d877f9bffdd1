"""Transactions: committed at the end, durable, and writers that wait instead of failing."""

from pathlib import Path
from threading import Barrier, Thread
from traceback import format_exception

import pytest
from alembic import command
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from db.catalogue.categories import ensure_categories
from db.catalogue.listing_photos import PhotoData, ensure_photos
from db.schema_migration import alembic_config
from db.session import Database
from db.tables import Category
from models.domain.errors import SetupError, Unavailable
from tests.support.clock import Clock


def count(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Category)) or 0


def test_what_raises_is_not_stored(any_database: Database) -> None:
    def write_and_break() -> None:
        with any_database.write() as session:
            ensure_categories(session, ["a"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_break()
    assert count(any_database) == 0


def test_a_reader_stores_nothing(any_database: Database) -> None:
    with any_database.read() as session:
        ensure_categories(session, ["a"])
    assert count(any_database) == 0


def test_writers_that_read_first_do_not_fail_each_other(any_database: Database) -> None:
    """Read-then-write in two SQLite transactions is what fails BUSY without BEGIN IMMEDIATE."""
    start = Barrier(4)
    errors: list[BaseException] = []

    def work(name: int) -> None:
        start.wait()
        try:
            for number in range(10):
                with any_database.write() as session:
                    session.scalar(select(func.count()).select_from(Category))
                    ensure_categories(session, [f"{name}-{number}"])
        except BaseException as error:  # noqa: BLE001 - whatever it was, the test must show it
            errors.append(error)

    threads = [Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert count(any_database) == 40


def test_sqlite_is_set_up_to_lose_nothing(database: Database) -> None:
    with database.read() as session:
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert session.scalar(text("PRAGMA synchronous")) == 2
        assert session.scalar(text("PRAGMA foreign_keys")) == 1


def test_unreachable_database_is_one_clear_error(tmp_path: Path) -> None:
    database = Database(f"postgresql://nobody@/nothing?host={tmp_path}")
    with pytest.raises(Unavailable), database.read() as session:
        session.scalar(text("SELECT 1"))


def test_a_database_without_tables_says_what_to_do(any_database: Database) -> None:
    command.downgrade(
        alembic_config(any_database.engine.url.render_as_string(hide_password=False)), "base"
    )
    with pytest.raises(SetupError, match="marketlens migrate"):
        count(any_database)


def test_a_row_with_a_column_of_this_release_says_what_to_do(
    any_database: Database, clock: Clock
) -> None:
    url = any_database.engine.url.render_as_string(hide_password=False)
    command.downgrade(alembic_config(url), "0006")
    with (
        pytest.raises(SetupError, match="marketlens migrate"),
        any_database.write() as session,
    ):
        ensure_photos(session, [PhotoData("a" * 64, 3, 4)], clock())


def test_other_databases_are_refused() -> None:
    with pytest.raises(SetupError, match="mysql"):
        Database("mysql://somewhere/else")


def test_on_sqlite_the_haversine_of_an_unknown_place_is_unknown(database: Database) -> None:
    with database.read() as session:
        for place in ("NULL, 0", "0, NULL", "NULL, NULL"):
            assert session.scalar(text(f"SELECT haversine(51.5, -0.1, {place})")) is None
        assert session.scalar(text("SELECT haversine(0, 0, 0, 180)")) == 1


def test_an_error_of_a_statement_does_not_show_what_was_to_be_stored(
    any_database: Database,
) -> None:
    row = {"id": 1, "path": "planted-secret"}
    # Of this PostgreSQL says which value is there already.
    again = {**row, "id": 2}
    statement = text("INSERT INTO categories (id, name, path) VALUES (:id, 'x', :path)")
    with any_database.write() as session:
        session.execute(statement, row)
    with any_database.read() as session, pytest.raises(IntegrityError) as failed:
        session.execute(statement, again)
    assert "planted-secret" not in "".join(format_exception(failed.value))
    assert "INSERT INTO categories" in str(failed.value)


@pytest.mark.parametrize(
    "statement", ["SELECT no_such_function(1)", "SELECT 1 +", "SELECT 'a' + x"]
)
def test_a_defect_of_a_statement_is_no_outage(any_database: Database, statement: str) -> None:
    with (
        pytest.raises((DBAPIError, SetupError)) as raised,
        any_database.read() as session,
    ):
        session.execute(text(statement))
    assert not isinstance(raised.value, Unavailable)
