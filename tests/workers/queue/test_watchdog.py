"""A worker is ended that takes no messages although some wait, and no other."""

from threading import Event

import pytest

from models.domain.errors import Unavailable
from tests.support.waiting import wait_until
from workers.queue import watchdog as module
from workers.queue.watchdog import SILENT_FOR_S, Watchdog, watched


class Worker:
    """What a watchdog sees of a worker."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waiting: int | None = 0
        self.busy = False
        self.dog = Watchdog(self._waiting, lambda: self.busy, lambda: self.now)

    def _waiting(self) -> int:
        if self.waiting is None:
            raise Unavailable("The broker can't be reached.")
        return self.waiting

    def is_stuck_after(self, seconds: float) -> bool:
        """Whether it is found stuck, looked at every five seconds."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 5)
            if self.dog.is_stuck():
                return True
        return False


def test_messages_that_nobody_takes_end_the_worker() -> None:
    worker = Worker()
    worker.waiting = 1
    assert not worker.is_stuck_after(SILENT_FOR_S - 1)
    assert worker.is_stuck_after(1)


def test_one_that_takes_messages_goes_on() -> None:
    worker = Worker()
    worker.waiting = 1_000
    for _ in range(20):
        assert not worker.is_stuck_after(SILENT_FOR_S - 1)
        worker.dog.see_message()


def test_one_that_does_a_long_job_goes_on_and_has_time_after_it() -> None:
    worker = Worker()
    worker.waiting, worker.busy = 10, True
    assert not worker.is_stuck_after(3_600)
    worker.busy = False
    assert not worker.is_stuck_after(SILENT_FOR_S - 1)
    assert worker.is_stuck_after(1)


def test_one_that_nothing_waits_for_goes_on() -> None:
    worker = Worker()
    assert not worker.is_stuck_after(3_600)
    worker.waiting = 1
    assert not worker.is_stuck_after(SILENT_FOR_S - 6)
    assert worker.is_stuck_after(6)


def test_while_the_broker_is_away_nobody_is_stuck() -> None:
    worker = Worker()
    worker.waiting = None
    assert not worker.is_stuck_after(3_600)
    worker.waiting = 5
    assert not worker.is_stuck_after(SILENT_FOR_S - 6)
    assert worker.is_stuck_after(6)


def test_it_is_ended_once(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, ended = Worker(), []
    worker.waiting, worker.now = 1, SILENT_FOR_S
    looked = Event()

    def end() -> None:
        ended.append(1)
        looked.set()

    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.01)
    with watched(worker.dog, end):
        wait_until(looked.is_set)
    assert ended == [1]
