"""The relay: publishes what was accepted but never reached a worker. Every promise rests on it."""

import logging
from collections.abc import Callable
from datetime import datetime
from threading import Event
from time import monotonic
from uuid import uuid4

from db import jobs
from db.consumption import RELAY, record_consumption
from db.session import Database
from models.domain.errors import Unavailable
from workers.generations.auto_reindex import fold_if_due
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 1.0
PROBE_EVERY_S = 5.0
FOLD_EVERY_S = 30.0
JOBS_PER_SWEEP = 500


def sweep(
    database: Database, publisher: JobPublisher, clock: Callable[[], datetime], max_attempts: int
) -> int:
    """Queue again what dead workers held, publish what is due; returns how many were published."""
    if _has_expired(database, clock()):
        with database.write() as session:
            released = jobs.release_expired(session, clock(), max_attempts)
            log.warning("%s jobs had lost their worker", released)
    with database.read() as session:
        due = jobs.due_for_publishing(session, clock(), JOBS_PER_SWEEP)
    sent = publisher.publish(due)
    if sent:
        with database.write() as session:
            jobs.mark_published(session, sent, clock())
    return len(sent)


def _has_expired(database: Database, now: datetime) -> bool:
    """Looked up before writing, so that an idle relay never takes the writer's lock."""
    with database.read() as session:
        return jobs.any_expired(session, now)


def _probe(database: Database, publisher: JobPublisher, now: datetime) -> None:
    """Ask every queue's worker to show itself, and show oneself."""
    for queue in Queue:
        publisher.probe(queue, expires_s=PROBE_EVERY_S)
    with database.write() as session:
        record_consumption(session, RELAY, now, None)


def _fold(database: Database, publisher: JobPublisher, clock: Callable[[], datetime]) -> None:
    """Have the index rebuilt when enough has changed."""
    job = fold_if_due(database, clock=clock, new_id=uuid4)
    if job is not None:
        publisher.publish([job])


def run_relay(
    database: Database,
    publisher: JobPublisher,
    clock: Callable[[], datetime],
    max_attempts: int,
    stop: Event,
    *,
    auto_reindex: bool,
) -> None:
    """Sweep until told to stop, and probe each queue so that readiness can be seen.

    With `auto_reindex`, the index is rebuilt when enough has changed (see
    `workers.generations.auto_reindex`).
    """
    next_probe = next_fold = 0.0
    while not stop.is_set():
        try:
            sweep(database, publisher, clock, max_attempts)
            if monotonic() >= next_probe:
                _probe(database, publisher, clock())
                next_probe = monotonic() + PROBE_EVERY_S
            if auto_reindex and monotonic() >= next_fold:
                _fold(database, publisher, clock)
                next_fold = monotonic() + FOLD_EVERY_S
        except Unavailable as error:
            log.warning("%s Trying again.", error)
        stop.wait(SWEEP_EVERY_S)
