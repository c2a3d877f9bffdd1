"""Runs the migrations on the configured database, or on the one given by `marketlens migrate`."""

from contextlib import closing

from alembic import context
from sqlalchemy import Connection

from db.access.tables import AuditEntry
from db.events.tables import Event
from db.retention.tables import Erasure
from db.saved_searches.tables import SavedSearch
from db.session import Database
from settings import Settings

# Once these are imported, and by them those of `db.tables`, one metadata has all tables.
FURTHER_TABLES = (AuditEntry, Erasure, Event, SavedSearch)
# Both are written by their migration: SQLite's index of words is a virtual table with tables of its
# own, PostgreSQL's is of an expression.
NOT_OF_TABLES = ("listing_words", "ix_listing_texts_words")
# Whoever asks for a table after a migration that waits for it waits as well.
LOCK_WAIT_S = 2


def _is_of_tables(name: str | None, _kind: str, _parents: object) -> bool:
    """Whether this name of the database is compared with the tables."""
    return name is None or not name.startswith(NOT_OF_TABLES)


def _writing(database: Database) -> Connection:
    # A migration reads first: on SQLite it would fail if another process had written meanwhile.
    return database.engine.connect().execution_options(sqlite_begin="IMMEDIATE")


def run() -> None:
    """Run the migrations in one transaction."""
    url = context.config.attributes.get("url") or Settings().sqlalchemy_url
    with closing(Database(url)) as database, _writing(database) as connection:
        # SQLite changes a table by copying it, which batch mode does.
        context.configure(
            connection=connection,
            target_metadata=FURTHER_TABLES[0].metadata,
            render_as_batch=True,
            include_name=_is_of_tables,
        )
        with context.begin_transaction():
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WAIT_S}s'")
            context.run_migrations()


run()
