"""Rows of earlier releases get the text that this release would have given them."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Engine, MetaData, event, insert, select, update
from sqlalchemy.exc import OperationalError

from db.catalogue.categories import category_paths, with_parents
from db.catalogue.filters import photos_passing
from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, compare_listings
from db.schema_migration import alembic_config, upgrade
from db.session import Database
from db.tables import Category, Listing, Place
from models.domain import text as living
from models.domain.filters import ListingFilter
from models.domain.limits import MAX_CATEGORY_DEPTH, MAX_CATEGORY_PATH, split_location
from tests.support.clock import Clock

TEXT = st.lists(
    st.sampled_from("/ >aé\n\t\x85\xa0\u0301\u0338\u0323\u200b\u200d\u2028,") | st.characters(),
    max_size=12,
).map("".join)


def the_migration() -> ModuleType:
    """By its subject: its number may change."""
    scripts = ScriptDirectory.from_config(alembic_config("sqlite://")).walk_revisions()
    (one,) = [script for script in scripts if script.path.endswith("_one_rule_for_text.py")]
    return one.module


MIGRATION = the_migration()


def url_of(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)


def before(database: Database) -> None:
    """Go back to the schema before the migration."""
    command.downgrade(alembic_config(url_of(database)), MIGRATION.down_revision)


def migrate(database: Database) -> None:
    """Run the migration, and none behind it."""
    command.upgrade(alembic_config(url_of(database)), MIGRATION.revision)


@given(TEXT)
@example("e\u0301\u0323" * 100)
@example("\u3000/\u200b> x")
def test_the_rule_is_the_one_that_the_migration_applies(text: str) -> None:
    """If this fails, the living rule was changed: stored rows need another migration, with a copy
    of the new rule, which is then what to compare here. The copy of this migration stays.
    """
    assert MIGRATION.clean_line(text) == living.clean_line(text)
    assert MIGRATION.clean_text(text) == living.clean_text(text)
    assert MIGRATION.clean_category(text) == living.clean_category(text)
    line = living.clean_line(text)
    assert MIGRATION.split_location(line) == split_location(line)


def test_every_character_is_taken_as_the_migration_takes_it() -> None:
    for first in range(0, sys.maxunicode, 0x1000):
        text = "a".join(map(chr, range(first, first + 0x1000)))
        assert MIGRATION.clean_line(text) == living.clean_line(text), hex(first)


def test_the_limits_are_those_of_the_rule() -> None:
    limits = (MAX_CATEGORY_DEPTH, MAX_CATEGORY_PATH)
    assert limits == (MIGRATION.MAX_DEPTH, MIGRATION.MAX_PATH)
    assert living.CATEGORY_SEPARATOR == MIGRATION.SEPARATOR


# Paths as earlier releases have stored them, each after the one above it; what becomes of each.
OLD_PATHS = {
    "Cafe\u0301": "Caf\u00e9",
    "Cafe\u0301 / Cups": "Caf\u00e9 / Cups",
    "Caf\u00e9": "Caf\u00e9",
    "Caf\u00e9 / Plates": "Caf\u00e9 / Plates",
    "Caf\u00e9\xa0": "Caf\u00e9",
    "Caf\u00e9\xa0 / Cups": "Caf\u00e9 / Cups",
    "Bed\xa0 linen": "Bed linen",
    "Bed  linen": "Bed linen",
    "Line\nfeed": "Line feed",
    "Line\nfeed / TV/DVD": "Line feed / TV/DVD",
    "Home>Garden": "Home / Garden",
    "Home>Garden / Tools": "Home / Garden / Tools",
    "\u200b": None,
    "\u200b / Below": "Below",
    "TV/DVD": "TV/DVD",
    "TV": "TV",
    "TV / DVD": "TV / DVD",
    ">".join("abcdefghijklm"): " / ".join("abcdefghij"),
}
OLD_LISTING = {
    "title": "Lamp\xa0 one",
    "description": "Two  lines.\n\n\n\nCafe\u0301.",
    "location": "Orle\u0301ans,\xa0 Loiret",
    "place": "Orle\u0301ans",
    "county": "Loiret",
    "seller": "Jose\u0301\xa0",
}
NEW_LISTING = {
    "title": "Lamp one",
    "description": "Two lines.\n\nCaf\u00e9.",
    "location": "Orl\u00e9ans, Loiret",
    "place": "Orl\u00e9ans",
    "county": "Loiret",
    "seller": "Jos\u00e9",
}


def insert_old(
    database: Database, clock: Clock, paths: Sequence[str], listing: Mapping[str, str]
) -> None:
    """Categories as an earlier release has stored them; a listing of each, with its photo."""
    numbers = {path: number for number, path in enumerate(paths, start=1)}
    times = {"created_at": clock(), "updated_at": clock()}
    with database.write() as session:
        for path, number in numbers.items():
            above, _, name = path.rpartition(" / ")
            parent = numbers.get(above)
            values = {"id": number, "path": path, "name": name, "parent_id": parent}
            session.execute(insert(Category).values(values))
        photos = [PhotoData(f"{number:064x}", 3, 4) for number in numbers.values()]
        ids = ensure_photos(session, photos, clock())
        for number, photo in zip(numbers.values(), photos, strict=True):
            row = {"id": UUID(int=number), "category_id": number, **listing, **times}
            session.execute(insert(Listing).values(row))
            set_photos(session, {UUID(int=number): [ids[photo.sha256]]})


def contents(database: Database) -> dict[str, list[str]]:
    """Every row of every table that the database has now."""
    tables = MetaData()
    tables.reflect(database.engine)
    with database.read() as session:
        return {
            table.name: sorted(map(repr, session.execute(select(table)).all()))
            for table in tables.sorted_tables
            if table.name != "alembic_version"
        }


@contextmanager
def written_rows() -> Iterator[list[str]]:
    """The statements that change rows, one for each row, while the block runs."""
    statements: list[str] = []

    def note(_c: Any, _u: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
        if (
            statement.split(maxsplit=1)[0] in {"UPDATE", "INSERT", "DELETE"}
            and "alembic" not in statement
        ):
            statements.extend([statement] * (len(parameters) if many else 1))

    event.listen(Engine, "before_cursor_execute", note)
    yield statements
    event.remove(Engine, "before_cursor_execute", note)


def test_rows_are_spelt_by_the_rule_and_equal_categories_merged(
    any_database: Database, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    insert_old(any_database, clock, list(OLD_PATHS), OLD_LISTING)
    before(any_database)
    upgrade(url_of(any_database))
    assert capsys.readouterr().err == ""
    with any_database.read() as session:
        paths = category_paths(session)
        assert sorted(paths.values()) == sorted(
            with_parents(path for path in OLD_PATHS.values() if path)
        )
        for number, new in enumerate(OLD_PATHS.values(), start=1):
            listing = session.get_one(Listing, UUID(int=number))
            assert (listing.category_id and paths[listing.category_id]) == new
            assert {name: getattr(listing, name) for name in OLD_LISTING} == NEW_LISTING
            assert (listing.created_at, listing.updated_at) == (clock(), clock())
        for category in session.scalars(select(Category)):
            above, _, name = category.path.rpartition(" / ")
            assert category.name == name
            assert (category.parent_id and paths[category.parent_id]) == (above or None)
        # Who has the path already keeps its integer, else the first one has it.
        assert paths[3] == "Caf\u00e9"
        assert paths[2] == "Caf\u00e9 / Cups"
        assert paths[7] == "Bed linen"
        everything = ListingFilter()
        assert photos_passing(session, everything, 100) == list(range(1, len(OLD_PATHS) + 1))
        cafe = ListingFilter(category="Cafe\u0301")
        assert photos_passing(session, cafe, 100) == [1, 2, 3, 4, 5, 6]
        nobody = ListingFilter(exclude_seller="Jose\u0301")
        assert photos_passing(session, nobody, 100) == []


def test_what_is_migrated_is_what_a_seed_writes(any_database: Database, clock: Clock) -> None:
    insert_old(any_database, clock, ["Cafe\u0301>Cups"], OLD_LISTING)
    before(any_database)
    upgrade(url_of(any_database))
    stated = ListingData(
        UUID(int=1),
        living.clean_line(OLD_LISTING["title"]),
        living.clean_text(OLD_LISTING["description"]),
        living.clean_category("Cafe\u0301>Cups"),
        location=living.clean_line(OLD_LISTING["location"]),
        seller=living.clean_line(OLD_LISTING["seller"]),
    )
    with any_database.read() as session:
        assert compare_listings(session, [stated]).unchanged == {UUID(int=1)}


def test_only_what_changes_is_written_and_only_once(any_database: Database, clock: Clock) -> None:
    insert_old(any_database, clock, ["Home", "Home / Lamps", "TV/DVD"], NEW_LISTING)
    with any_database.write() as session:
        row = {"id": UUID(int=9), "created_at": clock(), "updated_at": clock(), "title": "a  b"}
        session.execute(insert(Listing).values(row))
        session.execute(insert(Listing).values(row | {"id": UUID(int=10), "title": "\u200b"}))
    before(any_database)
    kept = contents(any_database)
    with written_rows() as written:
        migrate(any_database)
    assert [statement.split()[:2] for statement in written if "0 = 1" not in statement] == [
        ["UPDATE", "listings"]
    ]
    with any_database.read() as session:
        titles = {row.id: row.title for row in session.execute(select(Listing.id, Listing.title))}
    assert titles[UUID(int=9)] == "a b"
    # A listing has to have a title, even one that shows nothing.
    assert titles[UUID(int=10)] == "\u200b"
    now = contents(any_database)
    assert now["categories"] == kept["categories"]
    assert len(set(now["listings"]) - set(kept["listings"])) == 1

    before(any_database)
    assert contents(any_database) == now
    with written_rows() as again:
        migrate(any_database)
    assert [statement for statement in again if "0 = 1" not in statement] == []
    assert contents(any_database) == now


def test_rows_are_read_in_parts_and_progress_is_said_if_it_takes_long(
    any_database: Database,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    insert_old(any_database, clock, ["Lamps", *(f"Lamps {n}" for n in range(24))], OLD_LISTING)
    monkeypatch.setattr(MIGRATION, "ROWS_AT_ONCE", 10)
    monkeypatch.setattr(MIGRATION, "SAY_AFTER_S", 0)
    monkeypatch.setattr(MIGRATION, "SAY_EVERY_S", 0)
    with any_database.write() as session:
        MIGRATION.rewrite_listings(session.connection(), {1: 2})
    assert capsys.readouterr().err.splitlines() == [
        f"Text by one rule: {done} of 25 listings." for done in (10, 20, 25)
    ]
    with any_database.read() as session:
        assert set(session.scalars(select(Listing.title))) == {"Lamp one"}
        assert session.get_one(Listing, UUID(int=1)).category_id == 2


def test_nobody_writes_between_what_is_read_and_written(any_database: Database) -> None:
    at_once = "PRAGMA busy_timeout = 0"
    if any_database.engine.dialect.name == "postgresql":
        at_once = "SET lock_timeout = '100ms'"
    with any_database.engine.connect() as migrating, any_database.engine.connect() as other:
        other.exec_driver_sql(at_once)
        migrating.begin()
        MIGRATION.lock_writers_out(migrating)
        assert other.execute(select(Listing.id)).all() == []
        with pytest.raises(OperationalError):
            other.execute(update(Listing).values(title="x"))


def test_names_of_places_are_looked_up_by_their_new_spelling(
    any_database: Database, clock: Clock
) -> None:
    before(any_database)
    old = {
        "Orle\u0301ans": (47.9, 1.9),
        "Orle\u0301ans\xa0": (None, None),
        "Leeds,  Yorkshire": (None, None),
        "Leeds,\xa0Yorkshire": (53.8, -1.5),
        "Hull": (53.7, -0.3),
        "Hull ": (1.0, 1.0),
        "\u200b": (2.0, 2.0),
    }
    with any_database.write() as session:
        for name, (latitude, longitude) in old.items():
            row = {"name": name, "latitude": latitude, "longitude": longitude}
            session.execute(insert(Place).values(row | {"looked_up_at": clock()}))
    upgrade(url_of(any_database))
    with any_database.read() as session:
        assert {place.name: place.latitude for place in session.scalars(select(Place))} == {
            "Orl\u00e9ans": 47.9,
            "Leeds, Yorkshire": 53.8,
            "Hull": 53.7,
        }
