"""Announcements of ended jobs over the broker: who waits for one need not ask the database.

They may be lost, as Redis keeps none for who does not listen: who waits must ask now and then.
"""

import logging
from collections.abc import Sequence
from time import monotonic
from typing import Final
from uuid import UUID

from redis import Redis
from redis.exceptions import RedisError

from models.domain.errors import Unavailable
from observability.metrics import BROKER_ERRORS
from workers.queue.broker import Broker

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 1.0
PAUSE_S: Final = 10.0
"""For how long nothing is announced after a failure: each attempt may cost a timeout."""


def channel_of(broker: Broker) -> str:
    """The channel of a deployment's announcements. Raises what `Broker.prefix` raises."""
    return f"{broker.prefix}ended"


class Announcer:
    """Announces ended jobs. Connects when first used.

    Where the broker can't be reached, that is logged at the level `missed`.
    """

    def __init__(self, broker: Broker, missed: int = logging.WARNING) -> None:
        self._missed = missed
        self._broker = broker
        self._redis = Redis.from_url(
            broker.redis_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        )
        self._silent_until = 0.0

    def announce(self, job_ids: Sequence[UUID]) -> None:
        """Announce jobs whose end is committed. A broker that can't be reached is only logged."""
        if not job_ids or monotonic() < self._silent_until:
            return
        try:
            self._redis.publish(channel_of(self._broker), " ".join(map(str, job_ids)))
        except (RedisError, Unavailable) as error:
            self._silent_until = monotonic() + PAUSE_S
            BROKER_ERRORS.count()
            log.log(
                self._missed,
                "the broker can't be reached, ended jobs are not announced: %s",
                error,
            )

    def close(self) -> None:
        """Close its connections."""
        self._redis.close()
