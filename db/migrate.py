"""Bring a database to the schema of this release."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from db.session import database_url


def upgrade(url: str) -> None:
    """Run every migration that this database has not seen; a SQLite file is created."""
    parsed = database_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    command.upgrade(alembic_config(url), "head")


def alembic_config(url: str) -> Config:
    """Alembic's configuration for this database; without a file, so that it works installed."""
    config = Config()
    config.set_main_option("script_location", "db:migrations")
    # Alembic reads this through ConfigParser, for which a percent sign is special.
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config
