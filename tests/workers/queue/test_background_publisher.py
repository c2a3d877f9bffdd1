"""Who has stored a job never waits for the broker; what it takes late is published all the same."""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from uuid import UUID, uuid4

import pytest

from models.domain.types import JobType
from tests.support.jobs import Waiting
from tests.support.redis import broker_at, empty, take_all
from tests.support.waiting import wait_until
from workers.queue import background_publisher
from workers.queue.background_publisher import BackgroundPublisher
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher


def embeds(count: int) -> list[Waiting]:
    return [Waiting(uuid4(), JobType.EMBED) for _ in range(count)]


class StandingBroker(JobPublisher):
    """A publisher whose broker does not answer until it is told to; then it takes all but some."""

    def __init__(self, refuse: Callable[[], bool] = lambda: False) -> None:
        super().__init__(broker_at("redis+socket:///nowhere"))
        self.answers = Event()
        self.tries = 0
        self.taken: list[UUID] = []
        self._refuse = refuse

    def publish(self, jobs: object) -> list[UUID]:
        self.tries += 1
        self.answers.wait(60)
        if self._refuse():
            return []
        sent = [job.id for job in jobs]  # type: ignore[attr-defined]
        self.taken += sent
        return sent


def test_publishing_does_not_wait_and_loses_nothing() -> None:
    broker = StandingBroker()
    publisher = BackgroundPublisher(broker)
    jobs = embeds(100)
    for job in jobs:
        publisher.publish([job])
    assert not broker.taken
    broker.answers.set()
    wait_until(lambda: len(broker.taken) == len(jobs))
    assert broker.taken == [job.id for job in jobs]
    # What came meanwhile went together.
    assert broker.tries <= 3
    publisher.close()


def test_what_is_refused_is_tried_again_and_left_to_the_relay_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background_publisher, "RETRY_EVERY_S", 0.01)
    refused = [True]
    broker = StandingBroker(lambda: refused[0])
    broker.answers.set()
    publisher = BackgroundPublisher(broker)
    first, late = embeds(2)
    publisher.publish([first])
    wait_until(lambda: broker.tries > 2)
    refused[0] = False
    wait_until(lambda: broker.taken == [first.id])
    refused[0] = True
    monkeypatch.setattr(background_publisher, "KEPT_FOR_S", 0.05)
    publisher.publish([late])
    time.sleep(0.2)
    refused[0] = False
    time.sleep(0.05)
    assert broker.taken == [first.id]
    publisher.close()


def test_no_more_are_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_publisher, "MOST_KEPT", 5)
    broker = StandingBroker()
    publisher = BackgroundPublisher(broker)
    (first,) = embeds(1)
    publisher.publish([first])
    wait_until(lambda: broker.tries == 1)
    kept = embeds(8)
    publisher.publish(kept)
    broker.answers.set()
    publisher.close()
    assert broker.taken == [first.id, *(job.id for job in kept[:5])]


def test_closing_publishes_what_waits_on_a_real_broker(redis_url: str) -> None:
    empty(redis_url)
    publisher = BackgroundPublisher(JobPublisher(broker_at(redis_url)))
    jobs = embeds(20)
    publisher.publish(jobs)
    publisher.close()
    assert take_all(redis_url, Queue.EMBED) == [str(job.id) for job in jobs]


def test_closing_does_not_wait_for_a_broker_that_is_away(tmp_path: Path) -> None:
    nobody = JobPublisher(broker_at(f"redis+socket://{tmp_path}/nobody.sock"))
    publisher = BackgroundPublisher(nobody)
    publisher.publish(embeds(2))
    publisher.close()
    assert not publisher.reachable()
