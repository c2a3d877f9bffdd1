"""Asks a broker whether it will do, before anything depends on it."""

from typing import Final

from redis import Redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    InvalidResponse,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)

from db.session import Database
from models.domain.errors import MarketlensError, Misconfigured, Unavailable
from workers.queue.broker import Broker

TIMEOUT_S: Final = 3.0
KEEP_MS: Final = 1_000

REFUSALS: Final = (
    AuthenticationError,
    AuthorizationError,
    InvalidResponse,
    ResponseError,
    # Parameters of the URL that redis-py does not know, or that are of another type.
    TypeError,
    ValueError,
)
"""What stays true until somebody changes something."""


def check_broker(broker: Broker) -> None:
    """Use a broker as the queues do, under a key of the deployment's. Raises as `check_redis`."""
    check_redis(broker.redis_url, f"{broker.prefix}check")


def check_redis(url: str, key: str) -> None:
    """Use a Redis as the queues do, under a key that is nobody else's.

    Raises Misconfigured where it will not do until somebody changes something, and Unavailable
    where it can't be reached now.
    """
    try:
        client = Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
    except (TypeError, ValueError) as error:
        raise _product_error(error) from None
    try:
        with client:
            _use(client, key)
    except (RedisError, OSError, TypeError, ValueError) as error:
        raise _product_error(error) from error


def check_configured_broker(settings_url: str | None, database: Database) -> None:
    """As `check_broker`, of a broker that the settings name; a private one may not run yet."""
    if settings_url is not None:
        check_broker(Broker(settings_url, database))


def _use(client: Redis, key: str) -> None:
    """What Celery's transport does with lists, sets, hashes, transactions and channels."""
    client.ping()
    with client.pipeline(transaction=True) as pipe:
        pipe.delete(key)
        pipe.lpush(key, "1")
        pipe.brpop([key], timeout=1)
        for suffix in ("hash", "ordered", "set"):
            pipe.delete(f"{key}.{suffix}")
        pipe.hset(f"{key}.hash", "1", "1")
        pipe.zadd(f"{key}.ordered", {"1": 1})
        pipe.zrevrangebyscore(f"{key}.ordered", 2, 0)
        pipe.sadd(f"{key}.set", "1")
        pipe.smembers(f"{key}.set")
        for suffix in ("hash", "ordered", "set"):
            pipe.pexpire(f"{key}.{suffix}", KEEP_MS)
        pipe.eval("return 1", 0)
        pipe.publish(key, "1")
        pipe.execute()


def _product_error(error: Exception) -> MarketlensError:
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__).removesuffix(".")
    if isinstance(error, AuthenticationError):
        reason = "it wants another user or password"
    may_pass = isinstance(error, BusyLoadingError | OutOfMemoryError)
    if not isinstance(error, REFUSALS) or may_pass:
        return Unavailable(f"The broker can't be reached: {reason}. See MARKETLENS_REDIS_URL.")
    return Misconfigured(f"The broker refuses what this needs: {reason}. See MARKETLENS_REDIS_URL.")
