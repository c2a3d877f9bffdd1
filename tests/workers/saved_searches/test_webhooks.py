"""Webhooks are sent, signed and tried again; what they are is in the database alone."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from db.saved_searches.matches import NewMatch, add_matches
from db.saved_searches.searches import Webhook, delete_saved_search
from db.saved_searches.tables import SavedSearch, SavedSearchMatch
from db.session import Database
from db.store.webhooks import WebhookClient
from models.domain.clock import utc_now
from tests.support.catalogue import sha256
from tests.support.clock import Clock
from tests.support.saved_searches import matches_of, save, shown
from tests.support.waiting import wait_until
from tests.support.webhooks import SECRET, Receiver, receiver
from workers.saved_searches import webhooks
from workers.saved_searches.webhooks import (
    AT_ONCE,
    JITTER,
    LEASE,
    RETRY_AFTER,
    WebhookSender,
    next_attempt_at,
    run_webhooks,
)

OWN = {"127.0.0.1"}


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as started:
        yield started


@contextmanager
def sending(
    database: Database, clock: Callable[[], object] = utc_now, client: WebhookClient | None = None
) -> Iterator[None]:
    """Send what is due, in the background."""
    stop = Event()
    client = client or WebhookClient(OWN)
    thread = Thread(target=run_webhooks, args=(database, client, clock, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def find(
    database: Database, search_id: UUID, *listings: UUID, similarity: float | None = 0.9
) -> None:
    """Store these matches."""
    with database.write() as session:
        its_number = select(SavedSearch.number).where(SavedSearch.id == search_id)
        number = session.scalars(its_number).one()
        found = [NewMatch(number, listing, 1, similarity, has_webhook=True) for listing in listings]
        add_matches(session, found, utc_now())


def saved(database: Database, webhook: Webhook) -> UUID:
    return save(database, sha256(1), webhook=webhook)


def only(database: Database, search_id: UUID) -> SavedSearchMatch:
    (row,) = matches_of(database, search_id)
    return row


def test_each_match_is_sent_once_and_signed(any_database: Database, server: Receiver) -> None:
    search_id, listings = saved(any_database, server.webhook), [uuid4() for _ in range(20)]
    find(any_database, search_id, *listings)
    with sending(any_database):
        wait_until(lambda: all(row.delivered_at for row in matches_of(any_database, search_id)))
    assert server.refused == 0
    sent = [item.content["data"] for item in server.received]
    assert sorted(item["matches"][0]["listing_id"] for item in sent) == sorted(map(str, listings))
    assert {item["saved_search_id"] for item in sent} == {str(search_id)}
    assert len(set(server.ids)) == 20
    assert {item.content["type"] for item in server.received} == {"saved_search.matched"}
    assert all(row.next_attempt_at is None for row in matches_of(any_database, search_id))


def test_what_was_found_by_words_alone_has_no_similarity(
    database: Database, server: Receiver
) -> None:
    search_id, listing_id = saved(database, server.webhook), uuid4()
    find(database, search_id, listing_id, similarity=None)
    with sending(database):
        wait_until(lambda: only(database, search_id).delivered_at)
    (item,) = server.received
    found = {"listing_id": str(listing_id), "similarity": None}
    assert item.content["data"]["matches"] == [found]


def test_what_fails_is_sent_again_under_the_same_id(
    database: Database, server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "RETRY_AFTER", (timedelta(0),) * 9)
    server.statuses = [500, 302, 404]
    search_id = saved(database, server.webhook)
    find(database, search_id, uuid4())
    with sending(database):
        wait_until(lambda: only(database, search_id).delivered_at)
    assert len(server.ids) == 4
    assert len(set(server.ids)) == 1
    assert len({str(item.content) for item in server.received}) == 1
    assert (only(database, search_id).attempts, only(database, search_id).error) == (4, None)


def test_it_is_given_up_after_the_last_pause(
    database: Database, server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "RETRY_AFTER", (timedelta(0),))
    server.status = 503
    search_id = saved(database, server.webhook)
    find(database, search_id, uuid4())
    with sending(database):
        wait_until(lambda: only(database, search_id).next_attempt_at is None)
    row = only(database, search_id)
    assert (row.attempts, row.delivered_at, row.error) == (2, None, "HTTP status 503.")
    assert len(server.ids) == 2


def test_pauses_grow_to_three_days() -> None:
    now = Clock()()
    pauses = [next_attempt_at(attempts, now) for attempts in range(1, len(RETRY_AFTER) + 1)]
    for at, pause in zip(pauses, RETRY_AFTER, strict=True):
        assert at is not None
        assert pause * (1 - JITTER) <= at - now <= pause * (1 + JITTER)
    assert next_attempt_at(len(RETRY_AFTER) + 1, now) is None
    assert timedelta(days=3) < sum(RETRY_AFTER, timedelta()) < timedelta(days=4)


def test_410_ends_it_for_all_matches(database: Database, server: Receiver) -> None:
    server.status = 410
    search_id = saved(database, server.webhook)
    find(database, search_id, *(uuid4() for _ in range(3)))
    with sending(database):
        wait_until(lambda: shown(database, search_id).row.webhook_disabled_at)
        wait_until(
            lambda: all(row.next_attempt_at is None for row in matches_of(database, search_id))
        )
    assert not any(row.delivered_at for row in matches_of(database, search_id))


def test_a_host_of_an_address_that_is_not_public_is_refused_and_tried_later(
    database: Database, server: Receiver
) -> None:
    search_id = saved(database, server.webhook)
    find(database, search_id, uuid4())
    with sending(database, client=WebhookClient()):
        wait_until(lambda: only(database, search_id).error)
    assert server.received == []
    assert only(database, search_id).next_attempt_at is not None


def test_a_slow_host_delays_no_other(any_database: Database, server: Receiver) -> None:
    with receiver() as slow:
        slow.holds.set()
        stuck = save(any_database, sha256(1), webhook=Webhook(slow.url, "slow", SECRET))
        quick = saved(any_database, server.webhook)
        find(any_database, stuck, *(uuid4() for _ in range(100)))
        find(any_database, quick, *(uuid4() for _ in range(5)))
        client = WebhookClient(OWN, seconds=2)
        with sending(any_database, client=client):
            wait_until(lambda: all(row.delivered_at for row in matches_of(any_database, quick)))
            assert not any(row.delivered_at for row in matches_of(any_database, stuck))
            assert 0 < slow.most_at_once <= AT_ONCE
            slow.holds.clear()


def test_an_attempt_whose_process_was_killed_is_made_again(
    any_database: Database, server: Receiver
) -> None:
    """The claim is committed; nothing else of the attempt is."""
    search_id = saved(any_database, server.webhook)
    find(any_database, search_id, uuid4())
    with ThreadPoolExecutor(1) as pool:
        killed = WebhookSender(any_database, WebhookClient(OWN), utc_now, pool)
        assert len(killed._claim()) == 1
        assert killed._claim() == []
    later = lambda: utc_now() + LEASE  # noqa: E731 - a clock
    with sending(any_database, clock=later):
        # Its clock is ahead of what receivers take by less than they tolerate.
        wait_until(lambda: only(any_database, search_id).delivered_at)
    assert len(server.ids) == 1
    assert only(any_database, search_id).attempts == 2


def test_a_late_attempt_records_nothing(database: Database, server: Receiver) -> None:
    """It was thought to be dead, and another one was made since."""
    search_id = saved(database, server.webhook)
    find(database, search_id, uuid4())
    with ThreadPoolExecutor(1) as pool:
        late = WebhookSender(database, WebhookClient(OWN), utc_now, pool)
        (claimed,) = late._claim()
        other = WebhookSender(database, WebhookClient(OWN), lambda: utc_now() + LEASE, pool)
        assert len(other._claim()) == 1
        server.status = 500
        late._send(claimed)
    assert only(database, search_id).error is None


def test_what_was_deleted_is_sent_no_more(database: Database, server: Receiver) -> None:
    search_id = saved(database, server.webhook)
    find(database, search_id, uuid4())
    with ThreadPoolExecutor(1) as pool:
        sender = WebhookSender(database, WebhookClient(OWN), utc_now, pool)
        (claimed,) = sender._claim()
        with database.write() as session:
            delete_saved_search(session, search_id)
        sender._send(claimed)
        assert sender._claim() == []
