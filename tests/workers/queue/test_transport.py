"""A consumer goes on whatever Redis says to its notes on messages, with a real Redis."""

from collections.abc import Callable, Iterator

import pytest
from celery import Celery
from kombu.message import Message
from kombu.transport.redis import QoS as KombuQoS
from redis.exceptions import OutOfMemoryError, RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from tests.support.redis import broker_at, empty
from workers.queue.broker import CONSUMER_TRANSPORT, create_celery
from workers.queue.messages import Queue

FAILURES = [RedisTimeout("Timeout reading from socket"), OutOfMemoryError("maxmemory")]


@pytest.fixture
def celery(redis_url: str) -> Iterator[Celery]:
    empty(redis_url)
    made = create_celery(broker_at(redis_url), CONSUMER_TRANSPORT)
    yield made
    made.close()


def take(celery: Celery, monkeypatch: pytest.MonkeyPatch, method: str, error: RedisError) -> int:
    """Send two messages to a consumer that may hold one, whose first note fails; how many come."""
    for number in range(2):
        celery.send_task("anything", args=[number], queue=Queue.EMBED.value)
    taken: list[Message] = []
    failed: list[int] = []
    real = getattr(KombuQoS, method)

    def failing(self: KombuQoS, *args: object, **kwargs: object) -> None:
        if not failed:
            failed.append(1)
            raise error
        real(self, *args, **kwargs)

    monkeypatch.setattr(KombuQoS, method, failing)
    with celery.connection_for_read() as connection:
        channel = connection.channel()
        channel.basic_qos(0, 1, False)
        queue = celery.amqp.queues[Queue.EMBED.value].bind(channel)

        def on_message(message: Message) -> None:
            taken.append(message)
            end: Callable[[], None] = message.reject if method == "reject" else message.ack
            end()

        with connection.Consumer([queue], on_message=on_message, channel=channel):
            for _ in range(10):
                if len(taken) == 2:
                    break
                try:
                    connection.drain_events(timeout=0.3)
                except OSError:
                    continue
    assert failed
    return len(taken)


@pytest.mark.parametrize("method", ["append", "ack", "reject"])
@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_the_next_message_comes(
    celery: Celery, monkeypatch: pytest.MonkeyPatch, method: str, error: RedisError
) -> None:
    assert take(celery, monkeypatch, method, error) == 2
