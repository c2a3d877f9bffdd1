"""What has had its time leaves, and nothing that somebody still needs."""

from datetime import timedelta
from pathlib import Path
from threading import Event as Stop
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from db.catalogue.listing_photos import set_photos
from db.catalogue.listings import ListingData, delete_listing, upsert_listings
from db.idempotency import Answer, KeyedRequest, claim_key, complete_claim
from db.jobs import accepting, cancelling
from db.retention import jobs as retained_jobs
from db.retention import logs
from db.retention.removed import ChangesMissed, Numbered
from db.retention.tables import Erasure
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import (
    Change,
    Embedding,
    Generation,
    IdempotencyKey,
    Job,
    Listing,
    ListingChange,
    Photo,
)
from db.vectors import generations
from db.vectors.changes import changes_after, listing_changes_after, record_changes
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import (
    activate_initial_encoder,
    follow_encoder,
    register_encoder,
    retire_encoder,
)
from models.domain.clock import utc_now
from models.domain.job_payloads import SearchPayload
from models.domain.types import EncoderSpec, GenerationStatus, JobStatus, JobType
from tests.support.catalogue import add_listing, numbered_photos
from tests.support.clock import Clock
from tests.support.payloads import some_payload
from workers.indexes.live import LiveIndex
from workers.retention import files, steps
from workers.retention.policy import RetentionPolicy
from workers.retention.steps import Pace

POLICY = RetentionPolicy(jobs=timedelta(days=30))
SPEC = EncoderSpec("hog", 2, "f" * 64)


@pytest.fixture
def pace(any_database: Database, clock: Clock) -> Pace:
    return Pace(any_database, clock, Stop(), rest_s=0.0)


def accept(pace: Pace, job_type: JobType = JobType.SEARCH, parent: UUID | None = None) -> UUID:
    job_id = uuid4()
    with pace.database.write() as session:
        accepting.accept(
            session, some_payload(job_type), job_id=job_id, now=pace.clock(), parent_id=parent
        )
    return job_id


def end(pace: Pace, *job_ids: UUID) -> None:
    with pace.database.write() as session:
        session.execute(
            update(Job)
            .where(Job.id.in_(job_ids))
            .values(status=JobStatus.FAILED, finished_at=pace.clock())
        )


def left(pace: Pace) -> set[UUID]:
    with pace.database.read() as session:
        return set(session.scalars(select(Job.id)))


def count(database: Database, table: type) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_jobs_leave_when_they_have_ended_long_ago(pace: Pace, clock: Clock) -> None:
    ended, running_long, late = accept(pace), accept(pace), accept(pace)
    end(pace, ended)
    clock.advance(days=15)
    end(pace, late)
    clock.advance(days=16)
    newest = accept(pace)
    assert steps.remove_jobs(pace, POLICY) == 1
    assert left(pace) == {running_long, late, newest}
    clock.advance(days=400)
    end(pace, newest)
    clock.advance(days=31)
    assert steps.remove_jobs(pace, POLICY) == 1
    # The newest of its type says what was done last.
    assert left(pace) == {running_long, newest}


def test_a_family_leaves_together_and_a_build_with_its_generation(pace: Pace, clock: Clock) -> None:
    parent = accept(pace, JobType.BATCH)
    children = [accept(pace, JobType.EMBED, parent) for _ in range(3)]
    build = accept(pace, JobType.REINDEX)
    end(pace, *children, build)
    with pace.database.write() as session:
        encoder = activate_initial_encoder(session, SPEC, clock())
        built = generations.begin(session, encoder.id, build, clock())
        generations.activate(session, built.id, clock())
    clock.advance(days=31)
    accept(pace, JobType.EMBED)
    later = accept(pace, JobType.REINDEX)
    assert steps.remove_jobs(pace, POLICY) == 0
    end(pace, parent)
    clock.advance(days=31)
    accept(pace, JobType.BATCH)
    assert steps.remove_jobs(pace, POLICY) + steps.remove_jobs(pace, POLICY) == 4
    assert {build, later} <= left(pace)
    assert steps.remove_generation_rows(pace, POLICY) == 0
    with pace.database.write() as session:
        session.execute(update(Generation).values(status=GenerationStatus.REMOVED))
    assert steps.remove_generation_rows(pace, POLICY) == 1
    assert steps.remove_jobs(pace, POLICY) == 1
    assert build not in left(pace)


def test_a_job_that_is_retried_meanwhile_stays(pace: Pace, clock: Clock) -> None:
    job_id = accept(pace)
    end(pace, job_id)
    clock.advance(days=31)
    accept(pace)
    with pace.database.read() as session:
        due = retained_jobs.next_ended(session, clock() - POLICY.jobs, frozenset(), None)
    assert [one.job_id for one in due] == [job_id]
    with pace.database.write() as session:
        cancelling.retry(session, job_id, clock())
    with pace.database.write() as session:
        assert retained_jobs.remove_jobs(session, [job_id], clock() - POLICY.jobs) == 0
    assert job_id in left(pace)


@given(photos=st.lists(st.integers(1, 12), min_size=1, max_size=80), data=st.data())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_who_follows_from_any_change_sees_every_photo_that_changed_since(
    photos: list[int],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
    migrated_sqlite: Path,
) -> None:
    file = tmp_path_factory.mktemp("log") / "marketlens.db"
    file.write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{file}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "AT_ONCE", 7)
        patch.setattr(steps, "COMPACT_FROM", 1)
        patch.setitem(logs.KEPT, Numbered.CHANGES, data.draw(st.integers(1, 40), "kept"))
        for photo in photos:
            with database.write() as session:
                record_changes(session, [photo])
        pace = Pace(database, Clock(), Stop(), rest_s=0.0)
        if data.draw(st.booleans(), "compacted"):
            steps.Compaction()(pace, POLICY)
        steps.remove_changes(pace, POLICY, Numbered.CHANGES)
    with database.read() as session:
        for seen in range(len(photos) + 1):
            number, followed = seen, set()
            try:
                while (after := changes_after(session, number, 5))[0] != number:
                    number = after[0]
                    followed.update(after[1])
            except ChangesMissed:
                assert seen < len(photos) - 1
                continue
            assert number == len(photos)
            assert followed == set(photos[seen:])
    database.close()


def test_changes_stay_until_every_index_has_them(
    pace: Pace, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(logs.KEPT, Numbered.CHANGES, 10)
    with pace.database.write() as session:
        encoder_id = activate_initial_encoder(session, SPEC, clock()).id
    for photo in range(100):
        with pace.database.write() as session:
            record_changes(session, [photo])
    # Without a generation a worker reads all of them.
    assert steps.remove_changes(pace, POLICY, Numbered.CHANGES) == 0
    for last_change in (40, 60):
        with pace.database.write() as session:
            built = generations.begin(session, encoder_id, None, clock())  # type: ignore[arg-type]
            generations.activate(session, built.id, clock(), last_change=last_change)
    assert steps.remove_changes(pace, POLICY, Numbered.CHANGES) == 40
    with pace.database.write() as session:
        generations.retire_surplus(session, encoder_id, 1)
    assert steps.remove_changes(pace, POLICY, Numbered.CHANGES) == 20
    shared = RetentionPolicy(shared_index=True)
    assert steps.remove_changes(pace, shared, Numbered.CHANGES) == 30
    with pace.database.read() as session:
        assert session.scalar(select(func.min(Change.number))) == 91


def test_an_index_that_has_slept_reads_everything_anew(
    pace: Pace, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(logs.KEPT, Numbered.CHANGES, 1)
    vector = np.array([1, 0], np.float32)
    with pace.database.write() as session:
        encoder_id = activate_initial_encoder(session, SPEC, clock()).id
        first, ids = add_listing(session, numbered_photos(1, 2), clock())
        add_embeddings(session, encoder_id, dict.fromkeys(ids, vector))
    index = LiveIndex(SPEC, encoder_id, tmp_path)
    with pace.database.read() as session:
        index.sync(session)
    assert index.index.rows == 2
    with pace.database.write() as session:
        delete_listing(session, first, clock())
        _, more = add_listing(session, numbered_photos(3, 4, 5), clock())
        add_embeddings(session, encoder_id, dict.fromkeys(more, vector))
    shared = RetentionPolicy(shared_index=True)
    assert steps.remove_changes(pace, shared, Numbered.CHANGES)
    with pace.database.read() as session:
        index.sync(session)
    assert {match.photo_id for match in index.index.search(vector, 9)} == set(more)
    index.close()


def test_changes_of_listings_wait_for_saved_searches(
    pace: Pace, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support.saved_searches import save  # noqa: PLC0415

    monkeypatch.setitem(logs.KEPT, Numbered.LISTING_CHANGES, 3)
    for number in range(10):
        with pace.database.write() as session:
            upsert_listings(session, [ListingData(UUID(int=number + 1), "Thing")], clock())
    save(pace.database, UUID(int=1))
    for number in range(10):
        with pace.database.write() as session:
            upsert_listings(session, [ListingData(UUID(int=number + 1), "Other")], clock())
    assert steps.remove_changes(pace, POLICY, Numbered.LISTING_CHANGES) == 10
    with pace.database.read() as session:
        assert session.scalar(select(func.min(ListingChange.number))) == 11
        with pytest.raises(ChangesMissed):
            listing_changes_after(session, 9, 10)
        assert listing_changes_after(session, 10, 100).last == 20


def test_photos_leave_when_no_listing_has_them(pace: Pace, clock: Clock) -> None:
    with pace.database.write() as session:
        encoder_id = activate_initial_encoder(session, SPEC, clock()).id
        listing, ids = add_listing(session, numbered_photos(1, 2, 3), clock())
        add_embeddings(session, encoder_id, dict.fromkeys(ids, np.array([1, 0], np.float32)))
        set_photos(session, {listing: ids[:1]})
        add_listing(session, numbered_photos(2), clock())
    assert steps.remove_photos(pace, POLICY) == 0
    clock.advance(days=2)
    assert steps.remove_photos(pace, POLICY) == 1
    assert (count(pace.database, Photo), count(pace.database, Embedding)) == (2, 2)
    # The vector of a photo that is gone by now is not stored.
    with pace.database.write() as session:
        add_embeddings(session, encoder_id, {ids[2]: np.array([1, 0], np.float32)})
    assert count(pace.database, Embedding) == 2


def test_deleted_listings_are_erased_after_their_time(pace: Pace, clock: Clock) -> None:
    with pace.database.write() as session:
        first, _ = add_listing(session, numbered_photos(1), clock())
        second, _ = add_listing(session, numbered_photos(2), clock())
        delete_listing(session, first, clock())
    clock.advance(days=29)
    with pace.database.write() as session:
        delete_listing(session, second, clock())
    assert steps.remove_deleted_listings(pace, POLICY) == 0
    clock.advance(days=2)
    assert steps.remove_deleted_listings(pace, POLICY) == 1
    with pace.database.read() as session:
        assert list(session.scalars(select(Listing.id))) == [second]
        assert [row.kind for row in session.scalars(select(Erasure))] == ["deleted"]
    assert count(pace.database, Photo) == 1


def test_vectors_of_retired_encoders_leave(pace: Pace, clock: Clock) -> None:
    clock.now = utc_now()
    vector = np.array([1, 0], np.float32)
    with pace.database.write() as session:
        active = activate_initial_encoder(session, SPEC, clock()).id
        other = register_encoder(session, EncoderSpec("hog", 2, "e" * 64), clock())
        follow_encoder(session, other)
        _, ids = add_listing(session, numbered_photos(1, 2), clock())
        for encoder_id in (active, other):
            add_embeddings(session, encoder_id, dict.fromkeys(ids, vector))
        retire_encoder(session, other)
    clock.advance(days=29)
    assert steps.remove_encoder_vectors(pace, POLICY) == 0
    clock.advance(days=2)
    assert steps.remove_encoder_vectors(pace, POLICY) == 2
    with pace.database.read() as session:
        assert set(session.scalars(select(Embedding.encoder_id))) == {active}


def test_files_leave_that_nothing_names(pace: Pace, clock: Clock, tmp_path: Path) -> None:
    store = PhotoStore(tmp_path / "photos")
    asked, saved, lost, kept = (store.put(bytes([n])) for n in range(4))
    with pace.database.write() as session:
        accepting.accept(
            session, SearchPayload(positive=(asked,), limit=1), job_id=uuid4(), now=clock()
        )
        from db.catalogue.listing_photos import PhotoData  # noqa: PLC0415

        add_listing(session, [PhotoData(kept, 1, 1)], clock())
    from tests.support.saved_searches import save  # noqa: PLC0415

    save(pace.database, saved)
    clock.now = utc_now()
    assert files.is_of_this_deployment(pace.database, store)
    assert files.remove_unused_files(pace, store).count == 0
    clock.advance(hours=25)
    assert files.unused_amount(pace.database, store, clock()).count == 1
    assert files.remove_unused_files(pace, store).count == 1
    assert [store.has(one) for one in (asked, saved, lost, kept)] == [True, True, False, True]


def test_a_store_of_another_database_is_left_alone(
    pace: Pace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "UNSURE_FROM", 3)
    store = PhotoStore(tmp_path / "photos")
    for number in range(3):
        store.put(bytes([number]))
    assert not files.is_of_this_deployment(pace.database, store)
    assert files.is_of_this_deployment(pace.database, store, force=True)
    assert files.is_of_this_deployment(pace.database, store)
    store.files.write(files.MARKER, b"another")
    assert not files.is_of_this_deployment(pace.database, store)


def test_keys_of_requests_are_deleted_a_day_later(pace: Pace, clock: Clock) -> None:
    request = KeyedRequest("", "a key", "f" * 64)
    with pace.database.write() as session:
        claim = claim_key(session, request, uuid4(), clock())
        assert claim
        complete_claim(session, claim, Answer(202), clock())
    clock.advance(hours=23, minutes=59)
    assert steps.remove_idempotency_keys(pace, POLICY) == 0
    assert count(pace.database, IdempotencyKey) == 1
    clock.advance(minutes=1)
    assert steps.remove_idempotency_keys(pace, POLICY) == 1
    assert count(pace.database, IdempotencyKey) == 0
