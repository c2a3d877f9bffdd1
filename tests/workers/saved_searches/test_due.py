"""The relay has done what no embed job does."""

from uuid import uuid4

from db.catalogue.listings import ListingData, upsert_listings
from db.jobs import counting
from models.domain.job_results.embeddings import MatchResult
from models.domain.types import JobStatus, JobType
from tests.support.payloads import result_as
from tests.support.saved_searches import save, save_picture, stored_picture
from tests.support.workers import WorkerHarness
from workers.saved_searches.due import match_if_due
from workers.tasks import run_job


def is_due(worker: WorkerHarness) -> bool:
    """Whether a match job is due; if it is, it is done."""
    job = match_if_due(worker.database, clock=worker.now, new_id=uuid4)
    if job is None:
        return False
    assert match_if_due(worker.database, clock=worker.now, new_id=uuid4) is None
    run_job(worker.runtime, job.id)
    assert worker.job(job.id).status is JobStatus.SUCCEEDED
    return True


def test_without_saved_searches_nothing_is_ever_due(worker: WorkerHarness) -> None:
    worker.list_pictures(1)
    assert not is_due(worker)


def test_a_search_that_waits_for_its_vectors_is_due(worker: WorkerHarness) -> None:
    save(worker.database, stored_picture(worker, 1))
    assert is_due(worker)
    assert not is_due(worker)


def test_a_listing_that_has_changed_without_a_job_is_due(worker: WorkerHarness) -> None:
    listing_id = worker.list_pictures(1)
    save_picture(worker, 1)
    assert not is_due(worker)
    with worker.database.write() as session:
        upsert_listings(session, [ListingData(listing_id, "Changed")], worker.now())
    assert is_due(worker)
    assert not is_due(worker)


def test_a_job_says_what_it_has_done(worker: WorkerHarness) -> None:
    save(worker.database, stored_picture(worker, 1))
    worker.list_photos()
    job = worker.do(JobType.MATCH, {})
    assert result_as(job, MatchResult) == MatchResult(embedded=1, listings=1)
    with worker.database.read() as session:
        assert counting.count_open(session, JobType.MATCH) == 0
