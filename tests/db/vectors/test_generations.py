"""Which generation serves, which one did before, and what has changed since one was built."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from db.catalogue.listing_photos import PhotoData, ensure_photos
from db.jobs import accepting, attempts, cancelling, claiming
from db.session import Database
from db.vectors import generations
from db.vectors.changes import last_change, record_changes
from db.vectors.encoders import register_encoder
from models.domain.job_payloads import BatchPayload, ReindexPayload
from models.domain.types import EncoderSpec, GenerationStatus, JobType
from tests.support.clock import Clock
from tests.support.payloads import NOTHING_EMBEDDED, some_payload

LEASE = timedelta(seconds=60)


@pytest.fixture
def encoder_id(any_database: Database, clock: Clock) -> int:
    with any_database.write() as session:
        return register_encoder(session, EncoderSpec("hog", 4, "a" * 64), clock())


def built(database: Database, encoder_id: int, clock: Clock) -> int:
    """A generation that has just become live, of every change so far."""
    clock.advance(seconds=1)
    with database.write() as session:
        job = accepting.accept(session, BatchPayload(), job_id=uuid4(), now=clock())
        row = generations.begin(session, encoder_id, job.id, clock())
        return generations.activate(
            session, row.id, clock(), rows=0, last_change=last_change(session)
        ).id


def previous(database: Database, encoder_id: int) -> int | None:
    with database.read() as session:
        row = generations.previous(session, encoder_id)
        return None if row is None else row.id


def switch(database: Database, generation_id: int, clock: Clock) -> None:
    clock.advance(seconds=1)
    with database.write() as session:
        generations.switch_to(session, generation_id, clock())


def test_a_rollback_returns_to_what_was_live_before(
    any_database: Database, encoder_id: int, clock: Clock
) -> None:
    assert previous(any_database, encoder_id) is None
    first = built(any_database, encoder_id, clock)
    assert previous(any_database, encoder_id) is None
    second, third = (built(any_database, encoder_id, clock) for _ in range(2))
    assert previous(any_database, encoder_id) == second
    switch(any_database, first, clock)
    assert previous(any_database, encoder_id) == third
    switch(any_database, third, clock)
    assert previous(any_database, encoder_id) == first


def test_what_was_live_last_is_kept(any_database: Database, encoder_id: int, clock: Clock) -> None:
    first, second, third = (built(any_database, encoder_id, clock) for _ in range(3))
    switch(any_database, first, clock)
    with any_database.write() as session:
        assert generations.surplus(session, encoder_id, 2) == [second]
        assert generations.retire_surplus(session, encoder_id, 2) == [second]
        assert generations.retire_surplus(session, encoder_id, 2) == []
        newest = generations.newest(session, encoder_id)
    assert newest
    assert newest.id == third
    with any_database.read() as session:
        assert generations.get(session, second).status is GenerationStatus.REMOVED
        assert [row.id for row in generations.usable(session, encoder_id)] == [first, third]


def test_generations_of_one_moment_are_kept_by_their_number(
    any_database: Database, encoder_id: int, clock: Clock
) -> None:
    with any_database.write() as session:
        job = accepting.accept(session, BatchPayload(), job_id=uuid4(), now=clock())
        ids = [generations.begin(session, encoder_id, job.id, clock()).id for _ in range(4)]
        for generation_id in ids:
            generations.activate(session, generation_id, clock())
        assert generations.surplus(session, encoder_id, 2) == [ids[1], ids[0]]


def test_a_build_is_forsaken_when_its_job_has_ended(
    any_database: Database, encoder_id: int, clock: Clock
) -> None:
    def begun(job_type: JobType) -> tuple[int, UUID]:
        with any_database.write() as session:
            job = accepting.accept(session, some_payload(job_type), job_id=uuid4(), now=clock())
            return generations.begin(session, encoder_id, job.id, clock()).id, job.id

    (going_on, _), (ended, job_id) = begun(JobType.REINDEX), begun(JobType.EMBED)
    live = built(any_database, encoder_id, clock)
    with any_database.write() as session:
        assert generations.end_orphaned(session) == []
        cancelling.cancel(session, job_id, clock())
        session.flush()
        assert generations.end_orphaned(session) == [ended]
        assert generations.end_orphaned(session) == []
    with any_database.read() as session:
        statuses = {row.id: row.status for row in generations.all_generations(session, 9)}
        assert generations.get(session, ended).error == "its job ended before it did"
    assert statuses == {
        going_on: GenerationStatus.BUILDING,
        ended: GenerationStatus.FAILED,
        live: GenerationStatus.LIVE,
    }


def test_changed_photos_are_counted_once_and_not_to_the_end(
    any_database: Database, encoder_id: int, clock: Clock
) -> None:
    photos = [PhotoData(f"{number:064x}", 3, 4) for number in range(5)]
    with any_database.write() as session:
        photo_ids = list(ensure_photos(session, photos, clock()).values())
        record_changes(session, photo_ids[:4])
    generation_id = built(any_database, encoder_id, clock)
    for _ in range(3):
        with any_database.write() as session:
            record_changes(session, photo_ids[3:])
    with any_database.read() as session:
        generation = generations.get(session, generation_id)
        assert generations.changed_since(session, generation, at_most=100) == 2
        assert generations.changed_since(session, generation, at_most=1) == 1
        assert generations.changed_since(session, None, at_most=100) == 5


@pytest.mark.parametrize("how", ["failed", "cancelled", "succeeded", "still open"])
def test_a_reindex_that_came_to_nothing_is_remembered(
    any_database: Database, clock: Clock, how: str
) -> None:
    with any_database.write() as session:
        job = accepting.accept(session, ReindexPayload(), job_id=uuid4(), now=clock())
    with any_database.write() as session:
        claim = claiming.claim(session, job.id, clock(), LEASE)
        assert claim
        match how:
            case "failed":
                attempts.fail(session, claim, clock(), code="recall_too_low", detail="Too low.")
            case "cancelled":
                cancelling.cancel(session, job.id, clock())
            case "succeeded":
                attempts.finish(session, claim, clock(), result=NOTHING_EMBEDDED)
    before = clock() - timedelta(seconds=1)
    with any_database.read() as session:
        expected = how in {"failed", "cancelled"}
        assert generations.reindex_failed_since(session, before) is expected
        assert not generations.reindex_failed_since(session, clock())
