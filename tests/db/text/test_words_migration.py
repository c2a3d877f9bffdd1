"""Listings of earlier releases are indexed as this release would have indexed them."""

from types import ModuleType
from uuid import UUID

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import delete, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from db.catalogue.listings import ListingData, delete_listing, upsert_listings
from db.schema_migration import alembic_config, upgrade
from db.session import Database
from db.statements import table_of
from db.tables import ListingText, TextTrigram, TextWord
from db.text import word_index
from db.text.resolve import resolve
from db.text.search import find_texts
from models.domain.errors import SetupError
from models.domain.searches.attributes import AttributeValue
from models.text import listing_words as living
from models.text.query import parse_query
from models.text.spelling import is_corrigible, trigrams
from tests.support.clock import Clock
from tests.support.texts import assert_in_step

TEXT = st.text(
    st.sampled_from("abcé'-_.\"=# \u0301\u0131東京塔ก็ाй") | st.characters(codec="utf-8"),
    max_size=30,
)


def the_migration() -> ModuleType:
    """By its subject: its number may change."""
    scripts = ScriptDirectory.from_config(alembic_config("sqlite://")).walk_revisions()
    (one,) = [script for script in scripts if script.path.endswith("_words.py")]
    return one.module


MIGRATION = the_migration()


def url_of(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)


@given(TEXT, st.dictionaries(TEXT, TEXT | st.booleans() | st.integers() | st.lists(TEXT)))
@example("東 " * 700 + "a" * 100, {"a": 1.5})
def test_the_rule_is_the_one_that_the_migration_applies(
    line: str, attributes: dict[str, AttributeValue]
) -> None:
    """If this fails, the living rule was changed: stored rows need another migration, with a copy
    of the new rule, which is then what to compare here. The copy of this migration stays.
    """
    ours = living.listing_words(line, attributes, line, line)
    assert MIGRATION.listing_words(line, attributes, line, line) == tuple(ours)
    for word in ours.distinct():
        assert MIGRATION.trigrams(word) == (trigrams(word) if is_corrigible(word) else [])


def test_the_index_is_the_one_that_is_searched() -> None:
    assert MIGRATION.VECTOR == word_index.VECTOR


def test_listings_that_are_there_are_indexed(any_database: Database) -> None:
    add_some(any_database)
    command.downgrade(alembic_config(url_of(any_database)), MIGRATION.down_revision)
    upgrade(url_of(any_database))
    with any_database.read() as session:
        assert len(assert_in_step(session)) == 4
        assert found(session, "oak table") == [1]
    # What is written afterwards takes its former words out of the index.
    with any_database.write() as session:
        upsert_listings(session, [ListingData(UUID(int=1), "Pine")], Clock()())
    with any_database.read() as session:
        assert_in_step(session)
        assert found(session, "table ") == []
        assert found(session, "oak ") == [4]


def test_they_are_read_in_parts_and_progress_is_said_if_it_takes_long(
    any_database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_some(any_database)
    with any_database.write() as session:
        for table in (ListingText, TextWord, TextTrigram):
            session.execute(delete(table))
        if any_database.engine.dialect.name == "sqlite":
            session.execute(text("INSERT INTO listing_words(listing_words) VALUES ('delete-all')"))
    for name, value in {"ROWS_AT_ONCE": 2, "WORDS_AT_ONCE": 3, "SAY_AFTER_S": -1}.items():
        monkeypatch.setattr(MIGRATION, name, value)
    monkeypatch.setattr(MIGRATION, "SAY_EVERY_S", -1)
    with any_database.write() as session:
        MIGRATION.index_listings(session.connection(), table_of(ListingText))
    with any_database.read() as session:
        assert len(assert_in_step(session)) == 4
        assert found(session, "oak table") == [1]
    assert capsys.readouterr().err.splitlines() == [
        f"Words are indexed: {done} of 5 listings." for done in (2, 4, 5)
    ]


def add_some(database: Database) -> None:
    """Four listings, and one that is deleted."""
    titles = ["Oak tables", "東京塔", "Café lamp", "Oak lamp", "Gone"]
    listings = [
        ListingData(UUID(int=n), title, "Very old.", "Home", attributes={"size": 1})
        for n, title in enumerate(titles, start=1)
    ]
    with database.write() as session:
        upsert_listings(session, listings, Clock()())
        delete_listing(session, UUID(int=5), Clock()())


def found(session: Session, words: str) -> list[int]:
    query = resolve(session, parse_query(words), "english")
    return [match.number for match in find_texts(session, query, limit=9).matches]


def test_a_sqlite_without_fts5_is_said(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    command.downgrade(alembic_config(url_of(database)), MIGRATION.down_revision)
    execute = Connection.exec_driver_sql

    def without(self: Connection, statement: str, *values: object) -> object:
        if "fts5" in statement:
            raise OperationalError(statement, None, Exception("no such module: fts5"))
        return execute(self, statement, *values)  # type: ignore[arg-type]

    monkeypatch.setattr(Connection, "exec_driver_sql", without)
    with pytest.raises(SetupError, match="FTS5"):
        upgrade(url_of(database))
