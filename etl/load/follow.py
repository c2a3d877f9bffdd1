"""Follow queued jobs to their end."""

from collections.abc import Callable, Sequence
from datetime import datetime
from time import monotonic, sleep
from uuid import UUID

from db import jobs
from db.consumption import consumed_lately
from db.jobs import Progress
from db.session import Database
from workers.queue.messages import Queue

POLL_EVERY_S = 0.5
# A worker takes about as long to load its model; longer without any news means that none is there.
PATIENCE_S = 10.0


def wait_for(
    database: Database,
    job_ids: Sequence[UUID],
    queue: Queue,
    *,
    clock: Callable[[], datetime],
    on_progress: Callable[[Progress], None],
    on_unattended: Callable[[], None],
    poll_s: float = POLL_EVERY_S,
    patience_s: float = PATIENCE_S,
) -> Progress:
    """Wait until workers have ended all of these jobs, however long that takes.

    `on_unattended` is called once if for `patience_s` seconds nothing was done and nobody was seen
    to consume the queue.
    """
    last = _progress(database, job_ids)
    last_news = monotonic()
    told = False
    while last.open_jobs:
        on_progress(last)
        sleep(poll_s)
        now = _progress(database, job_ids)
        if now != last:
            last_news = monotonic()
        elif not told and monotonic() - last_news >= patience_s:
            told = not _attended(database, queue, clock())
            if told:
                on_unattended()
        last = now
    on_progress(last)
    return last


def do_all(
    database: Database,
    job_ids: Sequence[UUID],
    do: Callable[[UUID], None],
    *,
    clock: Callable[[], datetime],
    on_progress: Callable[[Progress], None],
    poll_s: float = POLL_EVERY_S,
) -> Progress:
    """Do all of these jobs here, one after the other, until each has ended.

    One that a killed process had claimed can be done when its lease has run out, one that has
    failed when it is due again.
    """
    last = _progress(database, job_ids)
    while last.open_jobs:
        on_progress(last)
        asked = monotonic()
        with database.read() as session:
            due = jobs.due_among(session, job_ids, clock())
        for job_id in due:
            do(job_id)
            if monotonic() - asked >= poll_s:
                on_progress(_progress(database, job_ids))
                asked = monotonic()
        last = _progress(database, job_ids)
        if last.open_jobs:
            sleep(poll_s)
    on_progress(last)
    return last


def _progress(database: Database, job_ids: Sequence[UUID]) -> Progress:
    with database.read() as session:
        return jobs.progress_of(session, job_ids)


def _attended(database: Database, queue: Queue, now: datetime) -> bool:
    with database.read() as session:
        return queue.value in consumed_lately(session, now)
