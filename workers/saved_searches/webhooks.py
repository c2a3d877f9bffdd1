"""Sends matches to webhooks, signed as https://www.standardwebhooks.com says.

Runs beside the relay, in threads of its own: a slow host delays neither jobs nor other hosts.
"""

import json
import logging
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from threading import Event
from time import monotonic
from typing import Final

from standardwebhooks import Webhook

from db.saved_searches.deliveries import (
    Delivery,
    any_due,
    claim_deliveries,
    record_delivered,
    record_failed,
)
from db.saved_searches.searches import disable_webhook
from db.session import Database
from db.store.webhooks import WebhookClient
from models.domain.errors import InvalidInput, Unavailable
from observability.metrics import DELIVERIES

log = logging.getLogger(__name__)

THREADS: Final = 32
AT_ONCE: Final = 4
"""Requests to one host."""
LEASE: Final = timedelta(seconds=15)
"""Longer than a request takes: after a kill the next attempt follows."""
POLL_EVERY_S: Final = 1.0
PAUSE_S: Final = 30.0
"""For how long nothing is sent to a host that could not be reached."""

RETRY_AFTER: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        5,
        5 * 60,
        30 * 60,
        *(hours * 3_600 for hours in (2, 5, 10, 14, 20, 24)),
    )
)
"""Pauses before the next attempts, as Standard Webhooks recommends: three days in all."""
SUCCESS: Final = 2
"""The first digit of a status by which a receiver says that it has taken a match."""
JITTER: Final = 0.1
"""The share by which pauses differ, so that what failed together does not come back together."""


def run_webhooks(
    database: Database, client: WebhookClient, clock: Callable[[], datetime], stop: Event
) -> None:
    """Send what is due until `stop` is set, and what is being sent has been."""
    with ThreadPoolExecutor(THREADS, "webhook") as pool:
        sender = WebhookSender(database, client, clock, pool)
        while not stop.is_set():
            try:
                is_idle = not sender.step()
            except Unavailable as error:
                log.warning("%s Trying again.", error)
                is_idle = True
            except Exception:
                log.exception("webhooks: a step broke")
                is_idle = True
            if is_idle:
                stop.wait(POLL_EVERY_S)
    client.close()


class WebhookSender:
    """What is being sent, and to which hosts."""

    def __init__(
        self,
        database: Database,
        client: WebhookClient,
        clock: Callable[[], datetime],
        pool: ThreadPoolExecutor,
    ) -> None:
        self._database = database
        self._client = client
        self._clock = clock
        self._pool = pool
        self._sending: dict[Future[bool], str] = {}
        self._paused_until: dict[str, float] = {}

    def step(self) -> bool:
        """Send what is due and there is room for; whether anything is being sent."""
        self._collect()
        for delivery in self._claim():
            self._sending[self._pool.submit(self._send, delivery)] = delivery.host
        if self._sending:
            wait(self._sending, POLL_EVERY_S, FIRST_COMPLETED)
        return bool(self._sending)

    def _collect(self) -> None:
        for future in [future for future in self._sending if future.done()]:
            host = self._sending.pop(future)
            if future.exception() is not None:
                log.error("a webhook's attempt broke", exc_info=future.exception())
            elif not future.result():
                self._paused_until[host] = monotonic() + PAUSE_S
        now = monotonic()
        self._paused_until = {
            host: until for host, until in self._paused_until.items() if until > now
        }

    def _claim(self) -> list[Delivery]:
        limit = THREADS - len(self._sending)
        now = self._clock()
        with self._database.read() as session:
            if not any_due(session, now):
                return []
        with self._database.write() as session:
            return claim_deliveries(
                session,
                now,
                LEASE,
                limit=limit,
                room=AT_ONCE,
                busy=Counter(self._sending.values()),
                paused=self._paused_until,
            )

    def _send(self, delivery: Delivery) -> bool:
        """Make one attempt and record it; whether the host could be reached."""
        is_reached = True
        status: int | None = None
        try:
            status = self._client.post(delivery.url, *message(delivery, self._clock()))
            error = f"HTTP status {status}."
        except InvalidInput as refused:
            error = str(refused)
        except Unavailable as unavailable:
            error, is_reached = str(unavailable), False
        except Exception as broken:
            log.exception("an attempt at a webhook broke")
            error = f"{type(broken).__name__}, see the relay's log."
        now = self._clock()
        with self._database.write() as session:
            if status is not None and status // 100 == SUCCESS:
                record_delivered(session, delivery, now)
                DELIVERIES.count("delivered")
                return True
            record_failed(session, delivery, error, next_attempt_at(delivery.attempts, now))
            if status == HTTPStatus.GONE:
                disable_webhook(session, delivery.saved_search, now)
        DELIVERIES.count("refused" if is_reached else "unreachable")
        log.warning("webhook of saved search %s: %s", delivery.search_id, error)
        return is_reached


def message(delivery: Delivery, now: datetime) -> tuple[bytes, dict[str, str]]:
    """The body of a match's webhook, and the headers that sign it.

    Body and id are the same at each attempt: receivers know by the id what they have.
    """
    similarity = None if delivery.similarity is None else round(delivery.similarity, 6)
    found = {"listing_id": str(delivery.listing_id), "similarity": similarity}
    body = json.dumps(
        {
            "type": "saved_search.matched",
            "timestamp": delivery.matched_at.isoformat(),
            "data": {
                "saved_search_id": str(delivery.search_id),
                "name": delivery.name,
                "matches": [found],
            },
        },
        ensure_ascii=False,
    )
    message_id = f"msg_{delivery.search_id.hex}_{delivery.listing_id.hex}"
    signature = Webhook(delivery.secret).sign(message_id, now.astimezone(UTC), body)
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    return body.encode(), headers


def next_attempt_at(attempts: int, now: datetime) -> datetime | None:
    """When to try again after so many attempts; None to give up."""
    if attempts > len(RETRY_AFTER):
        return None
    return now + RETRY_AFTER[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)
