"""Renews the claim of a long job while it runs, and stores its progress."""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Final

from db.consumption import record_consumption
from db.jobs import attempts
from db.jobs.attempts import ClaimLost
from db.jobs.claiming import Claim
from db.session import Database
from models.domain.errors import Unavailable
from workers.queue.messages import QUEUE_OF
from workers.queue.throttle import Throttle

log = logging.getLogger(__name__)

BEAT_EVERY_S: Final = 1.0


class Heartbeat:
    """Renews the lease of a claim, at most once a second however often it is called.

    It also records that the claim's queue is consumed, if whoever does the job `consumes` one.
    """

    def __init__(
        self,
        database: Database,
        claim: Claim,
        lease: timedelta,
        clock: Callable[[], datetime],
        *,
        consumes: bool = True,
    ) -> None:
        self._database = database
        self._claim = claim
        self._lease = lease
        self._clock = clock
        self._consumes = consumes
        self._throttle = Throttle(BEAT_EVERY_S)
        self._done: int | None = None
        self._total: int | None = None

    def __call__(self, done: int, total: int) -> None:
        """Renew the lease and store the progress, if the last beat was long enough ago.

        Raises ClaimLost when another attempt owns the job. A database that can't be reached is only
        logged: the lease outlives a few missed beats, and so may the job.
        """
        if self._throttle.is_due():
            self._done, self._total = done, max(done, total)
            self._beat()

    def renew(self) -> None:
        """Renew the lease, with the progress that was stored last. Raises ClaimLost."""
        if self._throttle.is_due():
            self._beat()

    def _beat(self) -> None:
        try:
            with self._database.write() as session:
                now = self._clock()
                attempts.heartbeat(
                    session, self._claim, now, self._lease, done=self._done, total=self._total
                )
                if self._consumes:
                    # The worker answers no probes meanwhile, although its queue is being consumed.
                    queue = QUEUE_OF[self._claim.type]
                    record_consumption(session, queue, now, None)
        except Unavailable as error:
            log.warning("job %s goes on without a heartbeat: %s", self._claim.job_id, error)


@contextmanager
def kept_alive(heartbeat: Heartbeat) -> Generator[None]:
    """Renew the job's lease while another job, or a long computation, runs in this thread."""
    ended = Event()

    def beat() -> None:
        while not ended.wait(BEAT_EVERY_S):
            try:
                heartbeat.renew()
            except ClaimLost:  # this thread's own beats, or the end of the job, will find it so
                return

    thread = Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
