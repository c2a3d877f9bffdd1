"""Bring a database to the schema of this release."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.orm import Session

from db.session import database_url, failures_of
from models.domain.errors import SetupError


def upgrade(url: str) -> None:
    """Run every migration that this database has not seen; a SQLite file is created.

    Raises SetupError, and Unavailable.
    """
    parsed = database_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        folder = Path(parsed.database).parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(
                f"The database's folder {folder} can't be made: {error.strerror}."
            ) from error
    try:
        with failures_of(parsed):
            command.upgrade(alembic_config(url), "head")
    except CommandError as error:
        raise SetupError(f"The database is of a later release than this one: {error}.") from error


def is_migrated(session: Session) -> bool:
    """Whether this database has the schema of this release."""
    url = session.get_bind().engine.url.render_as_string(hide_password=False)
    head = ScriptDirectory.from_config(alembic_config(url)).get_current_head()
    return MigrationContext.configure(session.connection()).get_current_revision() == head


def alembic_config(url: str) -> Config:
    """Alembic's configuration for this database; without a file, so that it works installed."""
    config = Config()
    config.set_main_option("script_location", "db:migrations")
    # Not an option: those go through ConfigParser, for which a percent sign is special.
    config.attributes["url"] = url
    return config
