"""A database that stands still, or is locked: callers are told soon, and nothing is lost."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from uuid import uuid4

import httpx2
import psycopg
import pytest

from db.schema_migration import upgrade
from db.session import Database
from db.vectors.changes import NUMBERING_LOCK
from settings import Settings
from tests.support.api_process import api_processes
from tests.support.faults import in_rounds, rounds
from tests.support.ledger import Kind
from tests.support.loaded_machine import LoadedMachine, Trial
from tests.support.pictures import jpeg
from tests.support.stopped_postgres import frozen_server
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

CLIENT_TIMEOUT_S = 60
SEARCHED_AGAIN_S = 15
ANSWERED_WITHIN_S = 10
STANDING_STILL_S = 30

Fault = Callable[[Settings], AbstractContextManager[None]]


@contextmanager
def write_lock(settings: Settings) -> Iterator[None]:
    """A process that stands still within a transaction of SQLite's only writer."""
    with closing(sqlite3.connect(settings.sqlalchemy_url.removeprefix("sqlite:///"))) as held:
        held.execute("BEGIN IMMEDIATE")
        yield
        held.rollback()


@contextmanager
def numbering_lock(settings: Settings) -> Iterator[None]:
    """A process that stands still and holds the lock that numbers changes."""
    with psycopg.connect(settings.sqlalchemy_url.replace("+psycopg", "")) as held:
        held.execute("SELECT pg_advisory_xact_lock(%s)", (NUMBERING_LOCK,))
        yield
        held.rollback()


@contextmanager
def frozen(settings: Settings) -> Iterator[None]:
    """PostgreSQL stands still."""
    with closing(Database(settings.sqlalchemy_url)) as database, frozen_server(database):
        yield


def sell(http: httpx2.Client, key: str) -> httpx2.Response:
    """Ask for a listing, as somebody who asks again with the same key."""
    return http.post(
        "/v1/listings",
        data={"listing": json.dumps({"title": f"Listing {key}"})},
        files={"photos": ("photo.jpg", jpeg(1))},
        headers={"Idempotency-Key": key},
    )


@pytest.mark.parametrize(
    ("kind", "fault", "searches", "reads"),
    [
        ("sqlite", write_lock, 503, 200),
        ("postgresql", numbering_lock, 202, 200),
        ("postgresql", frozen, 503, 503),
    ],
)
def test_callers_are_told_while_the_database_stands_still(
    kind: str,
    fault: Fault,
    searches: int,
    reads: int,
    settings_on: Callable[..., Settings],
) -> None:
    """Everybody is answered before the fault ends, which it does once they are."""
    settings = settings_on(kind)
    upgrade(settings.sqlalchemy_url)
    key = str(uuid4())
    with (
        api_processes(settings) as (api,),
        httpx2.Client(base_url=api.url, timeout=CLIENT_TIMEOUT_S) as http,
    ):
        assert sell(http, str(uuid4())).status_code == 202
        with fault(settings):
            refused = sell(http, key)
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert refused.headers["Retry-After"]
            asked = http.post("/v1/searches", files={"photo": jpeg(2)})
            assert asked.status_code == searches
            assert http.get("/v1/listings").status_code == reads
            assert http.get("/healthz").status_code == 200
        wait_until(lambda: sell(http, key).status_code == 202)
        listed = http.get("/v1/listings").json()
    assert len(listed["items"]) == 2


def slowest_answer_s(loaded: LoadedMachine, fault: Fault, for_s: float) -> float:
    """The longest time in which a caller was told yes or no while the fault lasted."""
    slowest, end = 0.0, time.monotonic() + for_s
    with (
        httpx2.Client(base_url=loaded.machine.url, timeout=CLIENT_TIMEOUT_S) as http,
        fault(loaded.machine.settings),
    ):
        while time.monotonic() < end:
            began = time.monotonic()
            answer = sell(http, str(uuid4()))
            slowest = max(slowest, time.monotonic() - began)
            assert answer.status_code in {202, 503}, answer.text
    return slowest


@in_rounds
@pytest.mark.parametrize(
    ("name", "kind", "fault"),
    [
        ("write lock held", "sqlite", write_lock),
        ("numbering lock held", "postgresql", numbering_lock),
        ("PostgreSQL frozen", "postgresql", frozen),
    ],
)
def test_a_database_that_stands_still_under_load(
    loaded_on: LoadedMachine, name: str, kind: str, fault: Fault
) -> None:
    if loaded_on.database.engine.dialect.name != kind:
        pytest.skip("the other database has no such fault")
    trial, slowest = Trial(loaded_on), 0.0
    for _ in rounds(at_most=3):
        slowest = max(slowest, slowest_answer_s(loaded_on, fault, STANDING_STILL_S))
        trial.recovers(time.monotonic())
    trial.judge(f"{name} {STANDING_STILL_S} s", f"slowest answer {slowest:.1f} s")
    assert slowest <= ANSWERED_WITHIN_S
    assert trial.worst_s(Kind.SEARCH) <= SEARCHED_AGAIN_S
