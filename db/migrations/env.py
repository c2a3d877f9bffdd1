"""Runs the migrations on the configured database, or on the one given by `marketlens migrate`."""

from alembic import context

from db.session import Database
from db.tables import Base
from settings import Settings


def run() -> None:
    """Run the migrations in one transaction."""
    url = context.config.attributes.get("url") or Settings().sqlalchemy_url
    database = Database(url)
    with database.engine.connect() as connection:
        # SQLite changes a table by copying it, which batch mode does.
        context.configure(
            connection=connection, target_metadata=Base.metadata, render_as_batch=True
        )
        with context.begin_transaction():
            context.run_migrations()
    database.close()


run()
