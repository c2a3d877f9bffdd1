"""Kombu's Redis transport, in which a message whose acknowledgement fails is no longer counted.

A worker takes as many messages as it may hold, here one. Kombu counts a message as done only after
Redis has confirmed that (`kombu.transport.redis.QoS.ack`, 5.7): where Redis does not answer in
time, the message is held for ever, and the worker never takes another. The database owns the job,
so that nothing depends on the confirmation.
"""

from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.transport import redis, virtual


class QoS(redis.QoS):
    """Counts the messages that a consumer holds."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message. Raises what redis-py raises; it is not held any more then either.

        What Redis keeps of it is delivered again after the visibility timeout; then its job has
        ended.
        """
        try:
            super().ack(delivery_tag)
        except BaseException:
            virtual.QoS.ack(self, delivery_tag)
            raise

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Reject a message, or put it back. Raises what redis-py raises; see `ack`."""
        try:
            super().reject(delivery_tag, requeue=requeue)
        except BaseException:
            virtual.QoS.ack(self, delivery_tag)
            raise


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
    BrokerConnection = RedisConnection
