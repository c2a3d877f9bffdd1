"""Keeps the photos of a store from being deleted while they are copied.

A hold is a small file beside the photos, so that whoever deletes sees it on every machine. It ends
by itself some time after it was renewed last: a killed process keeps nothing for ever.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from db.store.stored_files import StoredFiles
from models.domain.errors import NotFound

FOLDER: Final = "holds"
HELD_FOR: Final = timedelta(hours=3)
"""Longer than clocks of machines differ by, and than any step between two renewals takes."""
RENEW_EVERY: Final = timedelta(minutes=10)


@contextmanager
def held(files: StoredFiles, clock: Callable[[], datetime]) -> Generator[Callable[[], None]]:
    """Hold the photos during the block, which now and then calls what it is given.

    Raises Unavailable.
    """
    name = f"{FOLDER}/{uuid4().hex}"
    renewed = clock()
    files.write(name, renewed.isoformat().encode())

    def renew() -> None:
        nonlocal renewed
        now = clock()
        if now - renewed > RENEW_EVERY:
            files.write(name, now.isoformat().encode())
            renewed = now

    try:
        yield renew
    finally:
        files.delete(name)


def is_held(files: StoredFiles, now: datetime) -> bool:
    """Whether somebody holds the photos. Holds that have ended are deleted. Raises Unavailable.

    Who deletes photos asks this after having read that nothing refers to them: a copy holds them
    before it reads what refers to them.
    """
    ended = []
    for name in files.names_in(FOLDER):
        try:
            since = datetime.fromisoformat(files.read(f"{FOLDER}/{name}").decode())
        except NotFound:
            continue
        except ValueError:
            # Written a moment ago, in part.
            return True
        if now - since < HELD_FOR:
            return True
        ended.append(name)
    for name in ended:
        files.delete(f"{FOLDER}/{name}")
    return False
