"""A migration only adds: the release before serves while the schema is changed, and until it stops.

A later release removes what nobody uses any more, and says so in its migration: `CONTRACTS` is what
the release before can't do then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from db.schema_migration import alembic_config
from db.session import Database

MARKER = "CONTRACTS"


@dataclass(frozen=True)
class Column:
    """What the statements of an earlier release rely on."""

    kind: str
    nullable: bool
    has_default: bool


Schema = Mapping[str, Mapping[str, Column]]


def schema_of(database: Database) -> tuple[Schema, Mapping[str, set[str]]]:
    """The columns of each table, and what else a row of it has to keep to."""
    inspected = inspect(database.engine)
    columns, rules = {}, {}
    for table in inspected.get_table_names():
        if table.startswith(("alembic", "listing_words")):
            continue
        keys = set(inspected.get_pk_constraint(table)["constrained_columns"])
        columns[table] = {
            str(column["name"]): Column(
                str(column["type"]),
                bool(column["nullable"]),
                column["default"] is not None
                or (bool(column.get("autoincrement")) and column["name"] in keys),
            )
            for column in inspected.get_columns(table)
        }
        rules[table] = {
            *(f"unique {_named(found)}" for found in inspected.get_unique_constraints(table)),
            *(
                f"unique {_named(found)}"
                for found in inspected.get_indexes(table)
                if found["unique"]
            ),
            *(
                f"foreign key {found['constrained_columns']}"
                for found in inspected.get_foreign_keys(table)
            ),
            *(f"check {found['sqltext']}" for found in inspected.get_check_constraints(table)),
        }
    return columns, rules


def _named(found: Any) -> str:
    options = sorted(found.get("dialect_options", {}).items())
    return f"{found['column_names']} {[f'{name}={value}' for name, value in options]}"


def breaks(
    before: tuple[Schema, Mapping[str, set[str]]], after: tuple[Schema, Mapping[str, set[str]]]
) -> list[str]:
    """What an earlier release would fail at after a migration."""
    found = []
    for table, columns in before[0].items():
        if table not in after[0]:
            found.append(f"the table {table} is gone")
            continue
        now = after[0][table]
        for name, column in columns.items():
            if name not in now:
                found.append(f"{table}.{name} is gone")
            elif now[name].kind != column.kind:
                found.append(f"{table}.{name} is {now[name].kind}, and was {column.kind}")
            elif column.nullable and not now[name].nullable:
                found.append(f"{table}.{name} may not be null any more")
        found += [
            f"{table}.{name} is new, and a row must state it"
            for name in now.keys() - columns.keys()
            if not now[name].nullable and not now[name].has_default
        ]
        found += [f"{table}: {rule} is new" for rule in after[1][table] - before[1][table]]
    return found


def test_a_migration_only_adds_unless_it_says_why_not(any_database: Database) -> None:
    url = any_database.engine.url.render_as_string(hide_password=False)
    config = alembic_config(url)
    command.downgrade(config, "base")
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())[::-1]
    before = schema_of(any_database)
    for script in scripts:
        command.upgrade(config, script.revision)
        after = schema_of(any_database)
        reason = getattr(script.module, MARKER, None)
        if reason is None:
            assert breaks(before, after) == [], (
                f"{script.revision}: add what is new and leave what is old, which a later release "
                f"removes; or state in {MARKER} what the release before can't do then."
            )
        else:
            assert isinstance(reason, str)
            assert len(reason) > 40
        before = after


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("ALTER TABLE photos DROP COLUMN phash", "photos.phash is gone"),
        ("ALTER TABLE photos RENAME COLUMN phash TO hash", "photos.phash is gone"),
        ("DROP TABLE places", "the table places is gone"),
        ("ALTER TABLE photos ADD extra TEXT NOT NULL DEFAULT ''", None),
        ("ALTER TABLE photos ADD extra TEXT", None),
        ("CREATE TABLE extra (id INTEGER PRIMARY KEY, at TEXT NOT NULL)", None),
        ("CREATE INDEX extra ON photos (width)", None),
        ("CREATE UNIQUE INDEX extra ON photos (width)", "photos: unique ['width']"),
    ],
)
def test_the_rule_finds_what_breaks(
    any_database: Database, statement: str, expected: str | None
) -> None:
    before = schema_of(any_database)
    with any_database.engine.begin() as connection:
        connection.exec_driver_sql(statement)
    found = breaks(before, schema_of(any_database))
    assert [line for line in found if expected and line.startswith(expected)] or found == []
    assert bool(found) == bool(expected)


def test_the_rule_finds_what_a_row_must_state(any_database: Database) -> None:
    added = Column("TEXT", nullable=False, has_default=False)
    columns, rules = schema_of(any_database)
    after = ({**columns, "photos": {**columns["photos"], "extra": added}}, rules)
    assert breaks((columns, rules), after) == ["photos.extra is new, and a row must state it"]
