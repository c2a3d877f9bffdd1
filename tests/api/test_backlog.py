"""Queries say how long they will wait, and are refused where that is too long."""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime
from threading import Event
from time import sleep
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from api.jobs import backlog as backlog_module
from api.jobs.backlog import ASSUMED_RATE, Backlog
from db.jobs import accepting, cancelling, counting
from db.jobs.counting import Load
from db.session import Database
from models.domain.errors import Overloaded
from models.domain.job_payloads import EmbedPayload, SearchPayload
from models.domain.types import JobType
from tests.support.http import KETTLE, MakeClient, assert_problem, listing_form, submit_photo
from tests.support.pictures import jpeg
from tests.support.waiting import wait_until
from workers.queue.messages import QUERIES


def backlog_of(client: TestClient) -> Backlog:
    app: object = client.app
    found = app.state.resources.backlog  # type: ignore[attr-defined] # Starlette's own
    assert isinstance(found, Backlog)
    return found


@pytest.fixture
def backlog(database: Database) -> Backlog:
    return Backlog(database, lambda: datetime.now(UTC), max_wait_s=2)


@pytest.fixture
def busy(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Ten queries are open, of which ten a second are answered; two seconds are too long."""
    monkeypatch.setattr(backlog_module, "LOOK_EVERY_S", 1_000)
    client = make_client(max_wait_seconds=2)
    for still_open in (20, 10):
        backlog_of(client).look(Load(still_open, 0), 1.0)
    return client


def test_before_anything_is_known_a_slow_machine_is_assumed(backlog: Backlog) -> None:
    """Nobody is told a wait; but what comes before workers have begun would wait too long, too."""
    taken = int(2 * ASSUMED_RATE) + 1
    for _ in range(taken):
        backlog.admit()
    assert backlog.newest_wait_s() is None
    with pytest.raises(Overloaded) as refused:
        backlog.admit()
    assert refused.value.retry_after_s == 3
    # Once it is known, it is what counts.
    for still_open in (taken, taken - 30):
        backlog.look(Load(still_open, 0), 1.0)
    backlog.admit()


def test_queries_that_end_in_batches_do_not_let_too_many_in(backlog: Backlog) -> None:
    """Of seconds in which 32 end and seconds in which none does, the mean counts."""
    backlog.look(Load(16, 16), 1.0)
    backlog.look(Load(16, 8), 1.0)
    for ended in (32, 0, 0, 0) * 5:
        backlog.look(Load(16, ended), 1.0)
    backlog.look(Load(16, 32), 1.0)
    wait_s = backlog.wait_s(8)
    assert wait_s is not None
    assert 0.8 < wait_s < 1.2
    # A fall is followed at once.
    backlog.look(Load(16, 2), 1.0)
    fallen_s = backlog.wait_s(8)
    assert fallen_s is not None
    assert fallen_s >= wait_s


def test_what_is_refused_is_counted(backlog: Backlog) -> None:
    backlog.look(Load(100, 0), 1.0)
    backlog.look(Load(90, 0), 1.0)
    for _ in range(3):
        with pytest.raises(Overloaded):
            backlog.require_room()
    assert backlog.refused == 3


def test_the_rate_is_that_of_what_has_ended_while_some_were_open(backlog: Backlog) -> None:
    backlog.look(Load(open=0, accepted=50), 1.0)
    assert backlog.wait_s(10) is None  # they may have ended at once, and not in a second
    backlog.look(Load(open=30, accepted=30), 1.0)
    assert backlog.wait_s(10) is None
    backlog.look(Load(open=40, accepted=50), 2.0)
    assert backlog.wait_s(10) == 10 / 20
    # The newest second counts half.
    backlog.look(Load(open=30, accepted=0), 1.0)
    assert backlog.wait_s(10) == 10 / 15
    # That nothing ends does not say how fast they end, before one does.
    for _ in range(4):
        backlog.look(Load(open=30, accepted=0), 1.0)
    assert backlog.wait_s(10) == 10 / 15
    backlog.look(Load(open=25, accepted=0), 1.0)
    assert backlog.wait_s(10) == 10 / 8
    # A worker that was away is not as slow as that.
    for _ in range(60):
        backlog.look(Load(open=25, accepted=0), 1.0)
    backlog.look(Load(open=5, accepted=0), 1.0)
    assert backlog.wait_s(10) == 10 / 5


def test_more_are_admitted_until_the_newest_would_wait_too_long(backlog: Backlog) -> None:
    for still_open in (20, 10):
        backlog.look(Load(still_open, 0), 1.0)
    for _ in range(11):
        backlog.admit()
    with pytest.raises(Overloaded) as refused:
        backlog.admit()
    assert refused.value.retry_after_s == 3
    backlog.look(Load(open=5, accepted=11), 1.0)
    backlog.admit()


@pytest.mark.parametrize("kind", ["search", "embedding", "prediction"])
def test_what_would_wait_too_long_is_refused(busy: TestClient, kind: str) -> None:
    accepted = [submit_photo(busy, kind) for _ in range(11)]
    assert {response.status_code for response in accepted} == {202}
    assert accepted[0].json()["expected_wait_s"] == 1.1
    assert accepted[0].headers["Retry-After"] == "2"
    refused = submit_photo(busy, kind)
    assert_problem(refused, 429, "overloaded")
    assert refused.headers["Retry-After"] == "3"
    # What was accepted is still there, and says how long it will take.
    first = busy.get(accepted[0].headers["Location"])
    assert first.json()["status"] == "queued"
    assert 0 < first.json()["expected_wait_s"] <= 1.1
    backlog_of(busy).look(Load(open=0, accepted=0), 1.0)
    assert submit_photo(busy, kind).status_code == 202


def test_listings_are_taken_however_many_wait(busy: TestClient) -> None:
    backlog_of(busy).look(Load(open=1_000, accepted=1_000), 1.0)
    assert_problem(submit_photo(busy, "search"), 429, "overloaded")
    assert busy.post("/v1/listings", **listing_form(KETTLE, jpeg(1))).status_code == 202


def test_what_is_seen_is_what_the_database_holds(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_module, "LOOK_EVERY_S", 0.02)
    client = make_client()
    last, *others = (submit_photo(client, "search").headers["Location"] for _ in range(4))
    seen = backlog_of(client)
    wait_until(lambda: seen._open == 4)
    assert client.get(last).json()["expected_wait_s"] is None
    for other in others[:2]:
        client.delete(other).raise_for_status()
    wait_until(lambda: seen._open == 2)
    assert client.get(last).json()["expected_wait_s"] is not None
    client.delete(last).raise_for_status()
    assert client.get(last).json()["expected_wait_s"] is None


async def seen_open(
    backlog: Backlog, database: Database, released: Event, *, meanwhile: bool
) -> int:
    """How many are seen in the end, of one that is stored while a look is going on."""
    search = SearchPayload(positive=("0" * 64,), limit=3)
    async with backlog.watching():
        backlog.admit()
        await asyncio.sleep(0.1)
        if meanwhile:
            backlog.admit()
        with database.write() as session:
            accepting.accept(session, search, job_id=uuid4(), now=datetime.now(UTC))
        released.set()
        for _ in range(500):
            if backlog._open:
                break
            await asyncio.sleep(0.01)
    return backlog._open


@pytest.mark.parametrize("meanwhile", [False, True])
def test_what_is_stored_while_a_look_is_going_on_is_seen_by_the_next(
    database: Database, backlog: Backlog, monkeypatch: pytest.MonkeyPatch, meanwhile: bool
) -> None:
    monkeypatch.setattr(backlog_module, "LOOK_EVERY_S", 0.01)
    released = Event()
    load_of = counting.load_of

    def slowly(
        session: Session, types: Collection[JobType], since: datetime, until: datetime
    ) -> Load:
        released.wait(10)
        return load_of(session, types, since, until)

    monkeypatch.setattr(counting, "load_of", slowly)
    assert asyncio.run(seen_open(backlog, database, released, meanwhile=meanwhile)) == 1


def test_only_queries_are_counted_and_those_before_are_ahead(any_database: Database) -> None:
    begun = datetime(2030, 1, 1, tzinfo=UTC)
    search = SearchPayload(positive=("0" * 64,), limit=3)
    times = [begun.replace(minute=minute) for minute in range(5)]
    with any_database.write() as session:
        accepting.accept(session, EmbedPayload(photo_ids=(1,)), job_id=uuid4(), now=times[1])
        made = [
            accepting.accept(session, search, job_id=UUID(int=n), now=time)
            for n, time in enumerate(times)
        ]
        cancelling.cancel(session, made[0].id, times[4])
    with any_database.read() as session:
        assert counting.load_of(session, QUERIES, times[1], times[3]) == Load(3, 2)
        assert [counting.count_ahead(session, job, QUERIES) for job in made[1:]] == [1, 2, 3, 4]


def test_what_looks_is_awaited_before_the_database_is_closed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_module, "LOOK_EVERY_S", 0.0)
    looking, looked = Event(), Event()

    def slowly(*_: object) -> Load:
        looking.set()
        sleep(0.2)
        looked.set()
        return Load(0, 0)

    async def stop_while_it_looks() -> None:
        backlog = Backlog(database, lambda: datetime.now(UTC), max_wait_s=2)
        backlog.admit()
        async with backlog.watching():
            await asyncio.to_thread(looking.wait, 20)
        assert looked.is_set()

    monkeypatch.setattr(counting, "load_of", slowly)
    asyncio.run(stop_while_it_looks())
