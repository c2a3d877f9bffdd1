"""Resources that commands open, as the settings state."""

import os
from collections.abc import Generator
from contextlib import closing, contextmanager

from db import session
from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.errors import SetupError
from models.encoders.library import EncoderLibrary
from settings import Settings


@contextmanager
def database_of(settings: Settings) -> Generator[Database]:
    """The database, closed at the end."""
    with closing(Database(settings.sqlalchemy_url)) as database:
        yield database


def check_database_exists(settings: Settings) -> None:
    """Raise SetupError where SQLite would create an empty database."""
    if not database_exists(settings):
        raise SetupError("There is no database yet: run `marketlens migrate`, or seed a feed.")


def database_exists(settings: Settings) -> bool:
    """Whether there is a database; always true of one on a server."""
    return session.database_exists(settings.sqlalchemy_url)


def store_of(settings: Settings) -> PhotoStore:
    """The photo store. Raises SetupError, Misconfigured and Unavailable where it can't be used."""
    store = PhotoStore(settings.photo_store_url)
    store.check()
    return store


def library_of(settings: Settings) -> EncoderLibrary:
    """The encoders whose files this machine has."""
    return EncoderLibrary(settings.encoder, settings.weights, settings.models_dir)


def threads_of(settings: Settings) -> int:
    """Compute threads of a command that runs alone: by default one for each core."""
    return settings.threads or len(os.sched_getaffinity(0))
