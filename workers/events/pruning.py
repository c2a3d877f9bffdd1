"""Old events are deleted in the background, a few in each transaction."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event
from time import monotonic
from typing import Final

from db.events.forget import any_expired, prune_events
from db.session import Database
from models.domain.errors import Unavailable

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 60.0
REST_S: Final = 0.2
"""Between two transactions, and at least as long as one took: SQLite has one writer at a time, and
others that wait look only now and then whether it has ended."""


def run_pruning(
    database: Database, kept: timedelta, clock: Callable[[], datetime], stop: Event
) -> None:
    """Delete events when they are older than they are `kept`, until `stop` is set."""
    while not stop.is_set():
        try:
            prune_expired(database, kept, clock, stop)
        except Unavailable as error:
            log.warning("%s Trying again.", error)
        except Exception:
            log.exception("old events could not be deleted")
        stop.wait(LOOK_EVERY_S)


def prune_expired(
    database: Database, kept: timedelta, clock: Callable[[], datetime], stop: Event
) -> int:
    """Delete all events that are older, unless `stop` is set meanwhile; returns how many."""
    pruned = 0
    while not stop.is_set():
        # Asked before writing, so that who is idle takes no write lock.
        with database.read() as session:
            if not any_expired(session, clock() - kept):
                break
        began = monotonic()
        with database.write() as session:
            pruned += prune_events(session, clock() - kept)
        stop.wait(max(REST_S, monotonic() - began))
    return pruned
