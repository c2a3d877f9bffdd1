"""Bring a database to the schema of this release."""

import sqlite3
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from db.session import database_url, failures_of
from models.domain.errors import SetupError

TRIED_FOR_S: Final = 60.0
PAUSE_S: Final = 1.0
"""In which those who have waited behind a migration are served."""


def upgrade(url: str) -> None:
    """Run every migration that this database has not seen; a SQLite file is created.

    Others may use the database meanwhile: a migration that has to wait for them is given up, so
    that nobody waits behind it, and tried again for a minute. Raises SetupError, and Unavailable.
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
            _upgrade_when_unlocked(alembic_config(url))
    except CommandError as error:
        raise SetupError(f"The database is of a later release than this one: {error}.") from error


def _upgrade_when_unlocked(config: Config) -> None:
    deadline = monotonic() + TRIED_FOR_S
    while True:
        try:
            command.upgrade(config, "head")
        except OperationalError as error:
            if not _is_locked(error) or monotonic() > deadline:
                raise
            sleep(PAUSE_S)
        else:
            return


def _is_locked(error: OperationalError) -> bool:
    is_busy = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
    return is_busy or isinstance(error.orig, LockNotAvailable)


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
