"""The relay: publishes accepted jobs that no worker received, so that none is lost."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event
from time import monotonic
from typing import Final
from uuid import uuid4

from db.consumption import RELAY, record_consumption
from db.jobs import relaying
from db.session import Database
from models.domain.errors import Unavailable
from observability.metrics import LEASES_EXPIRED, REPUBLISHED
from workers.encoders.auto_adapt import adapt_if_due, retire_replaced
from workers.encoders.auto_calibrate import calibrate_if_due
from workers.generations.auto_reindex import reindex_if_due
from workers.queue.messages import QUEUE_OF, Queue
from workers.queue.owner import end_leases_of_dead
from workers.queue.publisher import JobPublisher
from workers.saved_searches.due import match_if_due

log = logging.getLogger(__name__)

POLL_EVERY_S = 1.0
PROBE_EVERY_S = 5.0
NO_PROBE_FROM: Final = 100
"""Messages that wait in a queue."""
REINDEX_CHECK_EVERY_S = 30.0
ADAPT_CHECK_EVERY_S = 10.0
CALIBRATE_CHECK_EVERY_S = 10.0
CALIBRATE_CHECK_WITHOUT_GENERATIONS_EVERY_S = 300.0
"""On a server no generation says how many photos there are: they have to be counted."""
JOBS_PER_POLL = 2_000
LOOK_AGAIN_PER_MESSAGE: Final = timedelta(milliseconds=5)
"""A job in a long queue is looked for less often: each look writes to the database, and none is
urgent."""


def publish_due_jobs(
    database: Database, publisher: JobPublisher, clock: Callable[[], datetime], max_attempts: int
) -> int:
    """Requeue the jobs of dead workers, publish those whose message is lost; returns how many.

    A broker that can't be reached is only logged.
    """
    end_leases_of_dead(database, clock())
    if _has_expired(database, clock()):
        with database.write() as session:
            released = relaying.release_expired(session, clock(), max_attempts)
            LEASES_EXPIRED.count(by=released)
            log.warning("%s jobs had lost their worker", released)
    try:
        has_memory = publisher.waiting.has_memory()
    except Unavailable as error:
        log.warning("nothing is published: %s", error)
        return 0
    if not has_memory:
        with database.write() as session:
            again = relaying.publish_all_again(session, clock())
        publisher.waiting.give_memory()
        log.warning("the broker is new, or has lost its messages: %s jobs are due again", again)
    return _publish_lost(database, publisher, clock())


def _publish_lost(database: Database, publisher: JobPublisher, now: datetime) -> int:
    """Publish the due jobs that no waiting message leads to; returns how many."""
    with database.read() as session:
        due = relaying.due_for_publishing(session, now, JOBS_PER_POLL)
    if not due:
        return 0
    messages = {
        queue: publisher.waiting.read(queue) for queue in {QUEUE_OF[job.type] for job in due}
    }
    lost = [job for job in due if not messages[QUEUE_OF[job.type]].lead_to(job)]
    sent = publisher.publish(lost)
    with database.write() as session:
        relaying.mark_published(session, sent, now)
        for queue, waiting in messages.items():
            ids = [job.id for job in due if QUEUE_OF[job.type] is queue and waiting.lead_to(job)]
            pause = max(relaying.LOOK_AGAIN, waiting.length * LOOK_AGAIN_PER_MESSAGE)
            relaying.mark_published(session, ids, now, pause)
    if sent:
        REPUBLISHED.count(by=len(sent))
        log.info("%s jobs had no message and are published", len(sent))
    return len(sent)


def _has_expired(database: Database, now: datetime) -> bool:
    """Checked before writing, so that an idle relay never takes the write lock."""
    with database.read() as session:
        return relaying.any_expired(session, now)


def _probe(database: Database, publisher: JobPublisher, now: datetime) -> None:
    """Probe the workers of every queue, and record that the relay runs."""
    for queue in Queue:
        try:
            # Whoever takes one of these shows as much; nobody would take any off a queue that has
            # no worker, and they would fill the broker's memory.
            if publisher.waiting.length(queue) < NO_PROBE_FROM:
                publisher.probe(queue, expires_s=PROBE_EVERY_S)
        except Unavailable as error:
            log.warning("no probe sent: %s", error)
            break
    with database.write() as session:
        record_consumption(session, RELAY, now, None)


def _reindex_if_due(
    database: Database, publisher: JobPublisher, clock: Callable[[], datetime]
) -> None:
    """Request a reindex when enough photos have changed."""
    job = reindex_if_due(database, clock=clock, new_id=uuid4)
    if job is not None:
        publisher.publish([job])


def _adapt_if_due(
    database: Database, publisher: JobPublisher, clock: Callable[[], datetime]
) -> None:
    """Request an adaptation when there is enough to learn from, or half as much again.

    What an earlier one has replaced is retired when nobody has returned to it.
    """
    retire_replaced(database, clock())
    job = adapt_if_due(database, clock=clock, new_id=uuid4)
    if job is not None:
        publisher.publish([job])


def _calibrate_if_due(
    database: Database, publisher: JobPublisher, clock: Callable[[], datetime]
) -> None:
    """Request that match labels are calibrated where the active encoder has none, or for less."""
    job = calibrate_if_due(database, clock=clock, new_id=uuid4)
    if job is not None:
        publisher.publish([job])


def _match_if_due(
    database: Database, publisher: JobPublisher, clock: Callable[[], datetime]
) -> None:
    """Request that what has changed is matched with saved searches, where no embed job does it."""
    job = match_if_due(database, clock=clock, new_id=uuid4)
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
    auto_adapt: bool = False,
    calibrate_every_s: float | None = None,
) -> None:
    """Publish due jobs until `stop` is set, and probe each queue, as readiness checks require.

    With `auto_reindex`, the index is rebuilt when enough has changed (see
    `workers.generations.auto_reindex`); with `auto_adapt`, it is learned from the catalogue how to
    compare its photos (see `workers.encoders.auto_adapt`). So often it is looked whether match
    labels are due (see `workers.encoders.auto_calibrate`); never with None.
    """
    next_probe = next_reindex_check = next_adapt_check = next_calibrate_check = 0.0
    while not stop.is_set():
        try:
            publish_due_jobs(database, publisher, clock, max_attempts)
            if monotonic() >= next_probe:
                _probe(database, publisher, clock())
                next_probe = monotonic() + PROBE_EVERY_S
            _match_if_due(database, publisher, clock)
            if auto_reindex and monotonic() >= next_reindex_check:
                _reindex_if_due(database, publisher, clock)
                next_reindex_check = monotonic() + REINDEX_CHECK_EVERY_S
            if auto_adapt and monotonic() >= next_adapt_check:
                _adapt_if_due(database, publisher, clock)
                next_adapt_check = monotonic() + ADAPT_CHECK_EVERY_S
            # After the adaptation: what it may change to has labels of its own.
            if calibrate_every_s is not None and monotonic() >= next_calibrate_check:
                _calibrate_if_due(database, publisher, clock)
                next_calibrate_check = monotonic() + calibrate_every_s
        except Unavailable as error:
            log.warning("%s Trying again.", error)
        stop.wait(POLL_EVERY_S)
