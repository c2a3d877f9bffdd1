"""One message leads to all queries that were never attempted; other jobs have their own."""

from uuid import uuid4

import pytest

from models.domain.types import JobType
from tests.support.jobs import Waiting
from tests.support.redis import broker_at, empty, take_all
from workers.queue.messages import QUERIES, Queue
from workers.queue.publisher import JobPublisher


def ids(*jobs: Waiting) -> list[str]:
    return [str(job.id) for job in jobs]


@pytest.fixture
def publisher(redis_url: str) -> JobPublisher:
    empty(redis_url)
    return JobPublisher(broker_at(redis_url))


def test_queries_of_all_kinds_share_a_message(publisher: JobPublisher, redis_url: str) -> None:
    queries = [Waiting(uuid4(), job_type) for job_type in sorted(QUERIES)]
    sent = publisher.publish(queries)
    assert sorted(map(str, sent)) == sorted(ids(*queries))
    assert take_all(redis_url, Queue.SEARCH) == ids(queries[0])


def test_what_was_attempted_and_what_is_no_query_has_a_message_of_its_own(
    publisher: JobPublisher, redis_url: str
) -> None:
    fresh = [Waiting(uuid4(), JobType.SEARCH) for _ in range(3)]
    tried = [Waiting(uuid4(), JobType.SEARCH, attempt=1) for _ in range(2)]
    embeds = [Waiting(uuid4(), JobType.EMBED) for _ in range(2)]
    sent = publisher.publish([*tried, *fresh, *embeds])
    assert sorted(map(str, sent)) == sorted(ids(*fresh, *tried, *embeds))
    assert sorted(take_all(redis_url, Queue.SEARCH)) == sorted(ids(fresh[0], *tried))
    assert sorted(take_all(redis_url, Queue.EMBED)) == sorted(ids(*embeds))


def test_nothing_is_sent_for_nothing(publisher: JobPublisher, redis_url: str) -> None:
    assert publisher.publish([]) == []
    assert take_all(redis_url, Queue.SEARCH) == []
