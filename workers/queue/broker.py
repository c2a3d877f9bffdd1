"""The Celery application and its connections to the broker; the reasons are in docs/decisions."""

from collections.abc import Mapping

from celery import Celery

from workers.queue.messages import Queue

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


def create_celery(broker_url: str, transport: Mapping[str, object]) -> Celery:
    """The Celery application. Connects when first used."""
    celery = Celery("marketlens", broker=broker_url, set_as_current=False)
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
        broker_transport_options=transport,
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
