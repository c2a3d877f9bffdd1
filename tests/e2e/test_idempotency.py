"""One key, one listing: of many clients, several API processes, and of one that is killed."""

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from time import sleep
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select, update

from db.session import Database
from db.tables import IdempotencyKey, Job, Listing
from models.domain.clock import utc_now
from settings import Settings
from tests.support.api_process import ApiProcess, api_processes
from tests.support.http import KETTLE, listing_form
from tests.support.machine import TIMEOUT_S
from tests.support.pictures import jpeg
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

CLIENTS = 100
FORM = listing_form(KETTLE, jpeg(1))
# Decoding them takes long enough to be killed meanwhile.
LARGE = listing_form(KETTLE, *[jpeg(2, (4_000, 3_000))] * 12)


def on(database: Database, tmp_path: Path) -> Settings:
    url = database.engine.url.render_as_string(hide_password=False)
    nobody = f"redis+socket://{tmp_path}/nobody.sock"
    return Settings(data_dir=tmp_path, database_url=url, redis_url=nobody)


def send(api: ApiProcess, key: str, form: dict[str, Any]) -> httpx2.Response:
    headers = {"Idempotency-Key": key}
    return httpx2.post(f"{api.url}/v1/listings", headers=headers, timeout=TIMEOUT_S, **form)


def count(database: Database, table: type[Any]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def row_of(database: Database, key: str) -> IdempotencyKey | None:
    with database.read() as session:
        return session.scalar(select(IdempotencyKey).where(IdempotencyKey.key == key))


def set_expiry(database: Database, at: datetime) -> None:
    with database.write() as session:
        session.execute(update(IdempotencyKey).values(expires_at=at))


def test_a_hundred_clients_with_one_key_make_one_listing(
    any_database: Database, tmp_path: Path
) -> None:
    together = Barrier(CLIENTS)
    settings = on(any_database, tmp_path)
    with api_processes(settings, settings) as apis, ThreadPoolExecutor(CLIENTS) as threads:

        def client(number: int) -> tuple[str, list[int]]:
            statuses = []
            together.wait(TIMEOUT_S)
            while True:
                answer = send(apis[number % len(apis)], "one", FORM)
                statuses.append(answer.status_code)
                if answer.status_code != 409:
                    return answer.json()["listing_id"], statuses
                assert answer.json()["code"] == "idempotency_in_flight"
                assert answer.headers["retry-after"] == "1"
                sleep(0.05)

        answers = list(threads.map(client, range(CLIENTS)))
    assert len({listing_id for listing_id, _ in answers}) == 1
    assert {status for _, statuses in answers for status in statuses} <= {202, 409}
    assert count(any_database, Listing) == count(any_database, Job) == 1


def test_a_killed_api_leaves_the_key_usable_and_makes_nothing_twice(
    any_database: Database, tmp_path: Path
) -> None:
    settings = on(any_database, tmp_path)
    with api_processes(settings, settings, settings) as apis, ThreadPoolExecutor(2) as threads:
        first, second, third = apis
        # Between the claim and the commit.
        broken: Future[httpx2.Response] = threads.submit(send, first, "early", LARGE)
        wait_until(lambda: row_of(any_database, "early"))
        first.kill()
        assert isinstance(broken.exception(TIMEOUT_S), httpx2.TransportError)
        left = row_of(any_database, "early")
        assert left is not None
        assert left.status is None
        assert left.expires_at - utc_now() <= timedelta(seconds=15)
        assert count(any_database, Listing) == count(any_database, Job) == 0
        # However slow this machine is, it is within the lease; then it is over.
        set_expiry(any_database, utc_now() + timedelta(days=1))
        refused = send(second, "early", LARGE)
        assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_in_flight")
        set_expiry(any_database, utc_now())
        assert send(second, "early", LARGE).status_code == 202
        assert count(any_database, Listing) == count(any_database, Job) == 1

        # As soon as it has committed, whether or not the answer was sent.
        threads.submit(send, second, "late", FORM)
        wait_until(lambda: (row := row_of(any_database, "late")) and row.status)
        second.kill()
        again = send(third, "late", FORM)
        assert again.status_code == 202
        assert again.headers["idempotency-replayed"] == "true"
        assert count(any_database, Listing) == count(any_database, Job) == 2
