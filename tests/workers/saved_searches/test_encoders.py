"""Saved searches go on matching when searches change to another encoder."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import select

from db.saved_searches.searches import SavedSearchStatus, any_unembedded
from db.saved_searches.tables import SavedSearchVectors
from db.vectors.encoders import follow_encoder
from tests.support.pictures import jpeg
from tests.support.saved_searches import found_by, save_picture, shown, without_catching_up
from tests.support.workers import WorkerHarness
from workers.encoders.migration import Migration, activate_migrated
from workers.queue.messages import PublishableJob, Queue
from workers.saved_searches.due import match_if_due
from workers.tasks import run_job

ALMOST = 0.999


class OneWorker:
    """Does the jobs that are waited for."""

    def __init__(self, worker: WorkerHarness) -> None:
        self._worker = worker

    def submit(self, accepted: Sequence[PublishableJob]) -> None:
        """`step` is told what to do."""

    def step(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
        del queue
        run_job(self._worker.runtime, job_ids[0])


def embedded_by(worker: WorkerHarness) -> dict[int, int]:
    """How many saved searches each encoder has embedded."""
    with worker.database.read() as session:
        rows = list(session.scalars(select(SavedSearchVectors.encoder_id)))
    return {encoder_id: rows.count(encoder_id) for encoder_id in set(rows)}


def test_a_followed_encoder_embeds_them_as_well(worker: WorkerHarness) -> None:
    save_picture(worker, 1)
    _, other = worker.add_encoder("other")
    with worker.database.write() as session:
        follow_encoder(session, other)
    worker.list_pictures(7)
    save_picture(worker, 2)
    assert embedded_by(worker) == {worker.encoder_id: 2, other: 2}


def test_a_migration_embeds_them_before_searches_change(worker: WorkerHarness) -> None:
    searches = [save_picture(worker, seed) for seed in range(40)]
    encoder, other = worker.add_encoder("other")
    worker.list_pictures(50)
    migration = Migration(
        worker.database,
        OneWorker(worker),
        clock=worker.now,
        new_id=uuid4,
        on_progress=lambda *_: None,
    )
    migrated = migration.run(encoder.spec)
    with worker.database.read() as session:
        assert not any_unembedded(session, other)
    assert activate_migrated(worker.database, migrated, worker.now(), force=True) is None
    assert {shown(worker.database, id_).status for id_ in searches} == {SavedSearchStatus.ACTIVE}
    listing_id = worker.list_pictures(3)
    assert found_by(worker.database, searches[3]) == {listing_id}


def test_what_came_before_they_were_embedded_again_is_found(worker: WorkerHarness) -> None:
    """Searches were changed by force: nothing was embedded before."""
    search_id = save_picture(worker, 1, min_similarity=ALMOST)
    _, other = worker.add_encoder("other")
    with worker.database.write() as session:
        follow_encoder(session, other)
    with without_catching_up():
        old = worker.list_pictures(1, 4)
    worker.activate(other, force=True)
    assert shown(worker.database, search_id).status is SavedSearchStatus.PENDING
    _, photo_ids = worker.list_photos(jpeg(1), listing_id=(new := uuid4()))
    with without_catching_up():
        worker.embed(photo_ids)
    assert found_by(worker.database, search_id) == {old}
    job_id = due(worker)
    assert job_id is not None
    assert due(worker) is None
    run_job(worker.runtime, job_id)
    assert found_by(worker.database, search_id) == {old, new}
    assert due(worker) is None


def due(worker: WorkerHarness) -> UUID | None:
    accepted = match_if_due(worker.database, clock=worker.now, new_id=uuid4)
    return accepted.id if accepted else None
