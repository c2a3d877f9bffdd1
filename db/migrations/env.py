"""Runs the migrations on the configured database, or on the one given by `marketlens migrate`."""

from alembic import context

from db.access.tables import AuditEntry
from db.events.tables import Event
from db.saved_searches.tables import SavedSearch
from db.session import Database
from settings import Settings

# Once these are imported, and by them those of `db.tables`, one metadata has all tables.
FURTHER_TABLES = (AuditEntry, Event, SavedSearch)
# Both are written by their migration: SQLite's index of words is a virtual table with tables of its
# own, PostgreSQL's is of an expression.
NOT_OF_TABLES = ("listing_words", "ix_listing_texts_words")


def _is_of_tables(name: str | None, _kind: str, _parents: object) -> bool:
    """Whether this name of the database is compared with the tables."""
    return name is None or not name.startswith(NOT_OF_TABLES)


def run() -> None:
    """Run the migrations in one transaction."""
    url = context.config.attributes.get("url") or Settings().sqlalchemy_url
    database = Database(url)
    with database.engine.connect() as connection:
        # SQLite changes a table by copying it, which batch mode does.
        context.configure(
            connection=connection,
            target_metadata=FURTHER_TABLES[0].metadata,
            render_as_batch=True,
            include_name=_is_of_tables,
        )
        with context.begin_transaction():
            context.run_migrations()
    database.close()


run()
