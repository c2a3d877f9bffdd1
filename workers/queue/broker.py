"""The Celery application and its connections to the broker; the reasons are in docs/decisions."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from celery import Celery

from db.deployment import deployment_id
from db.session import Database
from models.domain.errors import SetupError
from workers.queue.messages import Queue
from workers.queue.transport import RedisAMQP

SOCKET: Final = "redis+socket"
SCHEMES: Final = {"redis": "redis", "rediss": "rediss", SOCKET: SOCKET, "unix": SOCKET}
"""Celery's scheme for how a broker's URL begins."""
FORMS: Final = "redis://USER:PASSWORD@HOST:PORT/NUMBER, rediss://… or unix:///FOLDER/SOCKET"

# Longer than any lease: the broker redelivers an unacknowledged message only after this, when the
# database has long given the job to another attempt.
VISIBILITY_TIMEOUT_S = 3_600

CONSUMER_TRANSPORT = {
    "visibility_timeout": VISIBILITY_TIMEOUT_S,
    # redis-py's default of 5 s cuts the blocking pop of an idle worker; none at all waits for ever.
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 25,
}

# A publisher keeps its caller waiting, and the relay retries: it gives up soon.
PRODUCER_TRANSPORT = {
    "socket_timeout": 2,
    "socket_connect_timeout": 1,
    "socket_keepalive": True,
    "retry_on_timeout": False,
    "max_retries": 0,
}


def celery_url(url: str) -> str:
    """A broker's URL as Celery has it.

    Raises SetupError, whose sentence has no part of the URL, which may hold a password.
    """
    scheme, separator, rest = url.strip().partition("://")
    known = SCHEMES.get(scheme.lower())
    if not separator or known is None:
        raise SetupError(f"The broker must be Redis: MARKETLENS_REDIS_URL is {FORMS}.")
    try:
        parts = urlsplit(f"http://{rest}")
        number = parts.path.strip("/")
        is_usable = (parts.port or 1) > 0 and (known == SOCKET or not number or number.isdecimal())
        is_usable = is_usable and (known != SOCKET or bool(number))
    except ValueError:
        is_usable = False
    if not is_usable:
        raise SetupError(f"MARKETLENS_REDIS_URL can't be read: it is {FORMS}.")
    if known == SOCKET:
        rest = _renamed(rest, "db", "virtual_host")
    return f"{known}://{rest}"


def redis_url(url: str) -> str:
    """A broker's URL as redis-py has it: it spells that of a Unix socket in another way."""
    scheme, _, rest = celery_url(url).partition("://")
    return f"unix://{_renamed(rest, 'virtual_host', 'db')}" if scheme == SOCKET else celery_url(url)


def _renamed(rest: str, name: str, to: str) -> str:
    """What follows a URL's scheme, with a parameter of its query renamed."""
    place, mark, query = rest.partition("?")
    if not mark:
        return rest
    pairs = [(to if key == name else key, value) for key, value in parse_qsl(query)]
    return f"{place}?{urlencode(pairs)}"


class Broker:
    """One deployment's part of a Redis, which others may share. Constructing it reads nothing.

    Raises SetupError for a URL that is of no Redis.
    """

    def __init__(self, url: str, database: Database) -> None:
        self.celery_url = celery_url(url)
        self.redis_url = redis_url(url)
        self._database = database
        self._prefix: str | None = None

    @property
    def prefix(self) -> str:
        """How the names of all its keys and channels begin; read from the database once.

        Raises Unavailable, and SetupError where the schema is not this release's.
        """
        if self._prefix is None:
            with self._database.read() as session:
                self._prefix = f"marketlens:{deployment_id(session)}:"
        return self._prefix


def create_celery(broker: Broker, transport: Mapping[str, object]) -> Celery:
    """The Celery application of a deployment. Connects when first used.

    Raises what `Broker.prefix` raises.
    """
    celery = Celery("marketlens", broker=broker.celery_url, amqp=RedisAMQP, set_as_current=False)
    celery.conf.update(
        # Results live in the jobs table: Celery's own backend can't tell unknown from pending.
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_create_missing_queues=False,
        task_queues={queue.value: {} for queue in Queue},
        task_default_queue=Queue.EMBED.value,
        # A dead worker's message goes to another one; the database caps the attempts.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        broker_transport_options={**transport, "global_keyprefix": broker.prefix},
        # Nobody sends workers commands, which are broadcast.
        worker_enable_remote_control=False,
        # Celery's default is to give up for good after 100 tries.
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        worker_hijack_root_logger=False,
        worker_proc_alive_timeout=120,
        # A worker that lost the broker finishes its tasks: the database decides if they count.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        enable_utc=True,
    )
    return celery
