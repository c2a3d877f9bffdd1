"""The migrations and the tables must describe the same schema, on both databases."""

from alembic import command
from sqlalchemy import inspect

from db.migrate import alembic_config, upgrade
from db.session import Database
from db.tables import Base


def url_of(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)


def test_schema_is_what_the_tables_say(any_database: Database) -> None:
    command.check(alembic_config(url_of(any_database)))


def test_downgrade_leaves_nothing_and_upgrade_brings_it_back(any_database: Database) -> None:
    config = alembic_config(url_of(any_database))
    command.downgrade(config, "base")
    assert set(inspect(any_database.engine).get_table_names()) == {"alembic_version"}
    upgrade(url_of(any_database))
    assert set(Base.metadata.tables) <= set(inspect(any_database.engine).get_table_names())
