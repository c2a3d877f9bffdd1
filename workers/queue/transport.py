"""Kombu's Redis transport, in which what Redis keeps of taken messages may fail.

Kombu writes down in Redis which messages a worker holds, and counts a message as done only after
Redis has confirmed that (`kombu.transport.redis.QoS`, 5.7). Where Redis does not answer in time,
the message is held for ever; as a worker holds one at a time, it never takes another. Where Redis
is full, the worker ends. The database owns the job, so that nothing depends on these notes: what
was taken is done, whether they succeed or not.
"""

import logging

from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.transport import redis, virtual
from redis.exceptions import RedisError

log = logging.getLogger(__name__)


class QoS(redis.QoS):
    """Counts the messages that a consumer holds."""

    def append(self, message: virtual.Message, delivery_tag: str) -> None:
        """Hold a message that was taken."""
        try:
            super().append(message, delivery_tag)
        except RedisError as error:
            _warn(error)
            virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Hold a message no longer.

        What Redis keeps of it, if it can't be told, is delivered again after the visibility
        timeout; then its job has ended.
        """
        try:
            super().ack(delivery_tag)
        except RedisError as error:
            _warn(error)
            virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Hold a message no longer, or put it back, if Redis can be told; else the relay will."""
        try:
            super().reject(delivery_tag, requeue=requeue)
        except RedisError as error:
            _warn(error)
            virtual.QoS.ack(self, delivery_tag)


def _warn(error: RedisError) -> None:
    log.warning("the broker takes no note of a message: %s", error)


class Channel(redis.Channel):
    """A channel with this count."""

    QoS = QoS


class Transport(redis.Transport):
    """A transport with such channels."""

    Channel = Channel


class RedisConnection(Connection):
    """A connection by this transport, whatever way its URL names Redis."""

    def get_transport_cls(self) -> type[Transport]:
        """The transport's class, which kombu would choose by the URL's scheme."""
        return Transport


class RedisAMQP(AMQP):  # type: ignore[misc]  # celery states no types
    """What a Celery application makes its connections of."""

    Connection = RedisConnection
