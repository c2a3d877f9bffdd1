"""The index is rebuilt by itself when enough has changed, and not when that would help nobody."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.catalogue.listing_photos import PhotoData, ensure_photos
from db.jobs import accepting, cancelling
from db.session import Database
from db.tables import Generation, Job
from db.vectors import generations
from db.vectors.changes import last_change, record_changes
from db.vectors.encoders import activate_encoder, activate_initial_encoder, register_encoder
from models.domain.job_payloads import BatchPayload
from models.domain.types import EncoderSpec, JobType
from tests.support.clock import Clock
from tests.support.redis import broker_at, empty, take_all
from tests.support.waiting import OneRound
from workers.generations import auto_reindex as folding
from workers.generations.auto_reindex import (
    REINDEX_CHANGED_SHARE,
    REINDEX_MAX_CHANGES,
    REINDEX_MIN_CHANGES,
    needs_reindex,
    reindex_if_due,
)
from workers.queue.messages import Queue
from workers.queue.publisher import JobPublisher
from workers.queue.relay import run_relay

SPEC = EncoderSpec("hog", 4, "a" * 64)
ENOUGH = 5


@pytest.fixture(autouse=True)
def _few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "REINDEX_MIN_CHANGES", ENOUGH - 1)


@pytest.fixture
def encoder_id(any_database: Database, clock: Clock) -> int:
    with any_database.write() as session:
        return activate_initial_encoder(session, SPEC, clock()).id


def change(database: Database, clock: Clock, count: int) -> None:
    """So many new photos change, twice."""
    photos = [PhotoData(uuid4().hex * 2, 3, 4) for _ in range(count)]
    with database.write() as session:
        photo_ids = list(ensure_photos(session, photos, clock()).values())
        record_changes(session, photo_ids)
    with database.write() as session:
        record_changes(session, photo_ids)


def build(database: Database, encoder_id: int, clock: Clock, rows: int = 0) -> Generation:
    """A generation of all that has changed so far, live."""
    clock.advance(seconds=1)
    with database.write() as session:
        job = accepting.accept(session, BatchPayload(), job_id=uuid4(), now=clock())
        row = generations.begin(session, encoder_id, job.id, clock())
        return generations.activate(
            session, row.id, clock(), rows=rows, last_change=last_change(session)
        )


def fold(database: Database, clock: Clock) -> Job | None:
    return reindex_if_due(database, clock=clock, new_id=uuid4)


@given(rows=st.integers(0, 10**9), changed=st.integers(0, 10**9))
def test_the_more_there_is_the_more_may_change(rows: int, changed: int) -> None:
    assert (
        needs_reindex(rows, changed + 1)
        >= needs_reindex(rows, changed)
        >= needs_reindex(rows + 1, changed)
    )
    assert needs_reindex(rows, rows + ENOUGH)


def test_what_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "REINDEX_MIN_CHANGES", REINDEX_MIN_CHANGES)
    assert not needs_reindex(0, REINDEX_MIN_CHANGES)
    assert needs_reindex(0, REINDEX_MIN_CHANGES + 1)
    large = round(2 * REINDEX_MIN_CHANGES / REINDEX_CHANGED_SHARE)
    assert not needs_reindex(large, 2 * REINDEX_MIN_CHANGES)
    assert needs_reindex(large, 2 * REINDEX_MIN_CHANGES + 1)
    assert not needs_reindex(10**9, REINDEX_MAX_CHANGES)
    assert needs_reindex(10**9, REINDEX_MAX_CHANGES + 1)


def test_the_first_index_is_built_when_there_is_enough(
    any_database: Database, clock: Clock, encoder_id: int
) -> None:
    change(any_database, clock, ENOUGH - 1)
    assert fold(any_database, clock) is None
    change(any_database, clock, 1)
    job = fold(any_database, clock)
    assert job
    assert (job.type, job.payload) == (JobType.REINDEX, {})
    assert encoder_id


def test_what_has_changed_since_the_last_build_is_what_counts(
    any_database: Database, clock: Clock, encoder_id: int
) -> None:
    change(any_database, clock, 3 * ENOUGH)
    older = build(any_database, encoder_id, clock)
    assert fold(any_database, clock) is None
    change(any_database, clock, ENOUGH)
    build(any_database, encoder_id, clock)
    # Somebody's choice is not undone at once.
    with any_database.write() as session:
        generations.switch_to(session, older.id, clock())
    assert fold(any_database, clock) is None
    change(any_database, clock, ENOUGH)
    assert fold(any_database, clock)


def test_a_large_index_waits_for_more(
    any_database: Database, clock: Clock, encoder_id: int
) -> None:
    build(any_database, encoder_id, clock, rows=round(2 * ENOUGH / REINDEX_CHANGED_SHARE))
    change(any_database, clock, 2 * ENOUGH)
    assert fold(any_database, clock) is None
    change(any_database, clock, 1)
    assert fold(any_database, clock)


def test_never_two_at_a_time(any_database: Database, clock: Clock, encoder_id: int) -> None:
    change(any_database, clock, ENOUGH)
    job = fold(any_database, clock)
    assert job
    assert fold(any_database, clock) is None
    with any_database.write() as session:
        cancelling.cancel(session, job.id, clock())
    clock.advance(minutes=59)
    assert fold(any_database, clock) is None
    clock.advance(minutes=2)
    assert fold(any_database, clock)
    assert encoder_id


def test_only_what_is_searched_with_is_rebuilt(any_database: Database, clock: Clock) -> None:
    change(any_database, clock, ENOUGH)
    assert fold(any_database, clock) is None
    with any_database.write() as session:
        first = activate_initial_encoder(session, SPEC, clock()).id
        second = register_encoder(session, EncoderSpec("other", 4, "b" * 64), clock())
    build(any_database, first, clock)
    assert fold(any_database, clock) is None
    with any_database.write() as session:
        activate_encoder(session, second, clock(), force=True)
    assert fold(any_database, clock)


@pytest.fixture
def publisher(redis_url: str) -> Iterator[JobPublisher]:
    empty(redis_url)
    made = JobPublisher(broker_at(redis_url))
    yield made
    made.close()


@pytest.mark.parametrize("auto_reindex", [False, True])
def test_the_relay_sees_to_it_unless_told_not_to(
    database: Database, clock: Clock, publisher: JobPublisher, redis_url: str, auto_reindex: bool
) -> None:
    with database.write() as session:
        activate_initial_encoder(session, SPEC, clock())
    change(database, clock, ENOUGH)
    run_relay(database, publisher, clock, 3, OneRound(), auto_reindex=auto_reindex)
    with database.read() as session:
        job = generations.open_reindex(session)
    assert (job is not None) is auto_reindex
    probes = [name for name in take_all(redis_url, Queue.INDEX) if name != Queue.INDEX]
    assert probes == ([str(job.id)] if job else [])
