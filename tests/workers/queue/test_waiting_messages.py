"""Which jobs have a message in a real Redis, as Celery puts it there."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from models.domain.errors import Unavailable
from models.domain.types import JobType
from tests.support.jobs import Waiting
from tests.support.redis import broker_at, empty
from workers.queue import waiting_messages
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher


@pytest.fixture
def publisher(redis_url: str) -> Iterator[JobPublisher]:
    empty(redis_url)
    made = JobPublisher(broker_at(redis_url))
    yield made
    made.close()


def test_messages_of_jobs_are_read_and_probes_are_not(
    publisher: JobPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_messages, "READ_TOGETHER", 2)
    jobs = [Waiting(uuid4(), JobType.EMBED) for _ in range(5)]
    publisher.publish(jobs)
    publisher.probe(Queue.EMBED, expires_s=5)
    read = publisher.waiting.read(Queue.EMBED)
    assert read.length == 6
    assert read.job_ids == frozenset(job.id for job in jobs)
    assert publisher.waiting.read(Queue.INDEX).job_ids == frozenset()


def test_a_message_leads_to_its_job_and_that_of_a_query_to_all_that_were_never_attempted(
    publisher: JobPublisher,
) -> None:
    query, other = Waiting(uuid4(), JobType.SEARCH), Waiting(uuid4(), JobType.PREDICTION)
    tried = Waiting(uuid4(), JobType.SEARCH, attempt=1)
    nothing = publisher.waiting.read(Queue.SEARCH)
    assert not any(map(nothing.lead_to, (query, other, tried)))
    publisher.publish([query])
    read = publisher.waiting.read(Queue.SEARCH)
    assert [read.lead_to(job) for job in (query, other, tried)] == [True, True, False]
    embed, lost = Waiting(uuid4(), JobType.EMBED), Waiting(uuid4(), JobType.EMBED)
    publisher.publish([embed])
    embeds = publisher.waiting.read(Queue.EMBED)
    assert [embeds.lead_to(job) for job in (embed, lost)] == [True, False]


def test_in_a_queue_that_is_too_long_to_be_read_nothing_counts_as_lost(
    publisher: JobPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_messages, "READ_AT_MOST", 2)
    publisher.publish([Waiting(uuid4(), JobType.EMBED) for _ in range(3)])
    read = publisher.waiting.read(Queue.EMBED)
    assert (read.length, read.job_ids) == (3, None)
    assert read.lead_to(Waiting(uuid4(), JobType.EMBED))


def test_an_emptied_broker_has_no_memory(publisher: JobPublisher, redis_url: str) -> None:
    assert not publisher.waiting.has_memory()
    publisher.waiting.give_memory()
    assert publisher.waiting.has_memory()
    empty(redis_url)
    assert not publisher.waiting.has_memory()


def test_nobody_there_is_an_outage(tmp_path: object) -> None:
    nobody = JobPublisher(broker_at(f"redis+socket://{tmp_path}/nobody.sock")).waiting
    for ask in (nobody.has_memory, nobody.give_memory, lambda: nobody.read(Queue.EMBED)):
        with pytest.raises(Unavailable, match="broker"):
            ask()
