"""Finds processes that run and do nothing: workers whose queue is not consumed, a still relay.

A worker ends itself when it notices that it takes no messages (`workers.queue.watchdog`). This
finds those that can't notice: a worker that is stopped, or whose child hangs.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event, Thread
from time import monotonic
from typing import Final

from db.consumption import RELAY, consumed_lately
from db.session import Database
from models.domain.errors import MarketlensError
from workers.queue.messages import Queue

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 3.0
FRESH_FOR: Final = timedelta(seconds=20)
"""Probes are sent every five seconds, and a long job renews its claim every second."""
SILENT_FOR_S: Final = 25.0
"""For how long a process must be found silent, look after look: a machine that was suspended has
time to go on."""
LOADING_S: Final = 150.0
"""A process that is younger may still load its network; see `worker_proc_alive_timeout`."""

AgeOf = Callable[[str], float]
"""Seconds since the youngest process under a name has started."""


class ConsumptionWatch:
    """Says which of the processes are to be restarted, by what the database knows of them.

    `broker_answers` raises Unavailable where the broker does not: then nobody can take a message.
    """

    def __init__(
        self,
        database: Database,
        broker_answers: Callable[[], object],
        age_of: AgeOf,
        now: Callable[[], datetime],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._database = database
        self._now = now
        self._broker_answers = broker_answers
        self._age_of = age_of
        self._clock = clock
        self._silent_since: dict[str, float] = {}

    def look(self) -> list[str]:
        """The names of processes that have done nothing for too long."""
        try:
            silent = self._silent()
        except MarketlensError as error:
            log.info("nothing is known of the queues: %s", error)
            silent = set()
        now = self._clock()
        self._silent_since = {name: self._silent_since.get(name, now) for name in silent}
        late = [name for name, since in self._silent_since.items() if now - since >= SILENT_FOR_S]
        for name in late:
            del self._silent_since[name]
        return late

    def _silent(self) -> set[str]:
        self._broker_answers()
        with self._database.read() as session:
            seen = consumed_lately(session, self._now(), FRESH_FOR)
        # Without the relay nothing probes the queues.
        names = {RELAY} if RELAY not in seen else {queue.value for queue in Queue} - set(seen)
        return {name for name in names if self._age_of(name) >= LOADING_S}


@contextmanager
def watching(watch: ConsumptionWatch, restart: Callable[[str], None]) -> Iterator[None]:
    """Look in a thread until the block ends: a database that does not answer stops nothing else."""
    stop = Event()

    def run() -> None:
        while not stop.wait(LOOK_EVERY_S):
            for name in watch.look():
                restart(name)

    thread = Thread(target=run, name="consumption", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
