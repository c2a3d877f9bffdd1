"""Runs the migrations on the configured database, or on the one given by `marketlens migrate`."""

from alembic import context

from db.saved_searches.tables import SavedSearch
from db.session import Database
from settings import Settings


def run() -> None:
    """Run the migrations in one transaction."""
    url = context.config.attributes.get("url") or Settings().sqlalchemy_url
    database = Database(url)
    with database.engine.connect() as connection:
        # SQLite changes a table by copying it, which batch mode does.
        context.configure(
            connection=connection,
            # That of all tables, once these and, by them, those of `db.tables` are imported.
            target_metadata=SavedSearch.metadata,
            render_as_batch=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    database.close()


run()
