"""Photos at URLs are fetched beside the embedding, set in their order, and embedded once."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from db.catalogue.listing_photos import PhotoData, photos_shown, set_photos
from db.catalogue.listings import ListingData, delete_listing, upsert_listings
from db.jobs import accepting, attempts, cancelling, claiming
from db.jobs.attempts import ClaimLost
from db.jobs.fetch import SUPERSEDED, Fetched, accept_fetch_job, record_fetched
from db.store.photo_urls import PhotoUrls
from db.tables import Embedding, Job
from models.domain.clock import utc_now
from models.domain.job_payloads import EmbedPayload, PhotosToFetch
from models.domain.job_results.embeddings import BatchResult, EmbedResult, PhotoError
from models.domain.types import JobStatus, JobType
from models.photo_decoding import standardise
from tests.support.catalogue import stored_photos
from tests.support.payloads import payload_as, result_as
from tests.support.photo_hosts import HERE, PhotoHost, photo_host
from tests.support.pictures import jpeg
from tests.support.waiting import wait_until
from tests.support.workers import WorkerHarness
from workers.fetching.photo_fetcher import FetchLimits, PhotoFetcher
from workers.tasks import run_job

NAMES = frozenset({"photos.example", "slow.example"})
# Enough for what answers at all.
SECONDS = 20.0


def find(host: str, _port: int) -> Sequence[str]:
    """The addresses of the test's names; literal ones are those that they say."""
    known = {name: [HERE] for name in (*NAMES, "inward.example")}
    literal = {"2130706433": [HERE], "::ffff:7f00:1": ["::ffff:127.0.0.1"]}
    return (known | literal).get(host, [host])


@pytest.fixture
def host() -> Iterator[PhotoHost]:
    with photo_host() as running:
        yield running


MakeFetcher = Callable[..., WorkerHarness]


@pytest.fixture
def fetching(worker: WorkerHarness) -> Iterator[MakeFetcher]:
    """Gives a worker that fetches photos; more than one are of several processes."""
    made: list[PhotoFetcher] = []

    def make(
        *, seconds: float = SECONDS, allowed: bool = True, lease: timedelta = timedelta(minutes=1)
    ) -> WorkerHarness:
        fetcher = PhotoFetcher(
            worker.database,
            worker.runtime.store,
            PhotoUrls(NAMES, seconds=seconds, find=find) if allowed else None,
            limits=FetchLimits(1_000_000, lease, worker.runtime.config.max_attempts),
            clock=utc_now,
            publish=lambda _jobs: None,
            announce=lambda _ids: None,
        )
        made.append(fetcher)
        config = replace(worker.runtime.config, lease=lease)
        return replace(worker, runtime=replace(worker.runtime, fetcher=fetcher, config=config))

    yield make
    for fetcher in made:
        fetcher.stop()


def sha(seed: int) -> str:
    return standardise(jpeg(seed)).sha256


def listed(
    worker: WorkerHarness, *photos: str, row: int | None = None, parent: UUID | None = None
) -> tuple[UUID, UUID]:
    """A listing with these photos at URLs; its id and its job's."""
    listing_id, job_id = uuid4(), uuid4()
    with worker.database.write() as session:
        upsert_listings(session, [ListingData(listing_id, "A thing")], utc_now())
        accept_fetch_job(
            session,
            PhotosToFetch(listing_id=listing_id, photos=photos, row=row),
            job_id=job_id,
            now=utc_now(),
            parent_id=parent,
        )
    return listing_id, job_id


def fetched(worker: WorkerHarness, job_id: UUID) -> Job:
    """Run the first stage of a job, and wait for it."""
    run_job(worker.runtime, job_id)
    wait_until(lambda: worker.job(job_id).status is not JobStatus.RUNNING)
    return worker.job(job_id)


def shown(worker: WorkerHarness, listing_id: UUID) -> list[str]:
    with worker.database.read() as session:
        return photos_shown(session, [listing_id]).get(listing_id, [])


def errors_of(job: Job) -> list[PhotoError]:
    return list(result_as(job, EmbedResult).errors)


def embed_jobs(worker: WorkerHarness, *but: UUID) -> list[UUID]:
    with worker.database.read() as session:
        queued = select(Job.id).where(Job.type == JobType.EMBED, Job.status == JobStatus.QUEUED)
        return [job_id for job_id in session.scalars(queued) if job_id not in but]


def vectors(worker: WorkerHarness) -> int:
    with worker.database.read() as session:
        return session.scalar(select(func.count()).select_from(Embedding)) or 0


def test_photos_are_shown_in_their_order_and_embedded(
    fetching: MakeFetcher, host: PhotoHost
) -> None:
    worker = fetching()
    worker.list_pictures(2)
    before = vectors(worker)
    listing_id, job_id = listed(worker, host.url("1.jpg"), sha(2), host.url("3.jpg"))
    assert fetched(worker, job_id).status is JobStatus.QUEUED
    assert shown(worker, listing_id) == [sha(1), sha(2), sha(3)]
    run_job(worker.runtime, job_id)
    job = worker.job(job_id)
    assert (job.status, job.total, job.done, job.failed) == (JobStatus.SUCCEEDED, 2, 2, 0)
    assert result_as(job, EmbedResult) == EmbedResult(embedded=2, errors=())
    assert vectors(worker) == before + 2
    assert worker.search(3, limit=1) == [listing_id]
    assert host.asked == {"/1.jpg": 1, "/3.jpg": 1}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:{port}/1.jpg", "not public"),
        ("http://[::ffff:127.0.0.1]:{port}/1.jpg", "not public"),
        ("http://169.254.169.254/latest/meta-data", "not public"),
        ("http://2130706433:{port}/1.jpg", "not public"),
        ("http://inward.example:{port}/1.jpg", "not public"),
        ("file:///etc/passwd", "no http or https URL"),
        ("http://user:secret@photos.example:{port}/1.jpg", "a user or a password"),
    ],
)
def test_what_leads_inward_is_refused_in_words_and_opens_no_socket(
    fetching: MakeFetcher, host: PhotoHost, url: str, words: str
) -> None:
    worker = fetching()
    listing_id, job_id = listed(worker, host.url("2.jpg"), url.format(port=host.server_port))
    fetched(worker, job_id)
    run_job(worker.runtime, job_id)
    job = worker.job(job_id)
    assert (job.status, job.done, job.failed) == (JobStatus.SUCCEEDED, 1, 1)
    (error,) = errors_of(job)
    assert (error.code, error.position, error.photo) == ("invalid_input", 1, None)
    assert words in error.detail
    assert "secret" not in str(error)
    assert shown(worker, listing_id) == [sha(2)]
    assert host.asked == {"/2.jpg": 1}


def test_each_url_fails_alone(fetching: MakeFetcher, host: PhotoHost) -> None:
    worker = fetching()
    inward = f"http://127.0.0.1:{host.server_port}/1.jpg"
    urls = [host.url(f"to?{inward}"), host.url("endless"), host.url("missing"), host.url("4.jpg")]
    listing_id, job_id = listed(worker, *urls, host.url("to?/5.jpg"))
    fetched(worker, job_id)
    run_job(worker.runtime, job_id)
    details = {error.position: error.detail for error in errors_of(worker.job(job_id))}
    assert details.keys() == {0, 1, 2}
    assert "not public" in details[0]
    assert "more than 1,000,000 bytes" in details[1]
    assert "404" in details[2]
    assert shown(worker, listing_id) == [sha(4), sha(5)]
    assert "/1.jpg" not in host.asked


def test_a_host_that_hangs_delays_no_other_listing(fetching: MakeFetcher, host: PhotoHost) -> None:
    worker = fetching()
    hanging = [
        listed(worker, *(host.url(f"hang?{number}{n}", "slow.example") for n in range(12)))[1]
        for number in range(5)
    ]
    for job_id in hanging:
        run_job(worker.runtime, job_id)
    wait_until(host.asked.total)
    # The same process embeds, and fetches from others.
    listing_id = worker.list_pictures(1)
    other_id, other_job = listed(worker, host.url("2.jpg"))
    fetched(worker, other_job)
    run_job(worker.runtime, other_job)
    assert (worker.search(1, 1), worker.search(2, 1)) == ([listing_id], [other_id])
    assert {worker.job(job_id).status for job_id in hanging} == {JobStatus.RUNNING}
    assert worker.runtime.fetcher
    worker.runtime.fetcher.stop()
    left = [worker.job(job_id) for job_id in hanging]
    assert {(job.status, job.attempt - job.attempts_before) for job in left} == {
        (JobStatus.QUEUED, 0)
    }


def test_what_may_be_there_later_is_fetched_later_and_nothing_twice(
    fetching: MakeFetcher, host: PhotoHost
) -> None:
    worker = fetching()
    host.statuses["/2.jpg"] = HTTPStatus.SERVICE_UNAVAILABLE
    listing_id, job_id = listed(worker, host.url("1.jpg"), host.url("2.jpg"), host.url("3.jpg"))
    first = fetched(worker, job_id)
    assert first.status is JobStatus.QUEUED
    assert first.publish_after > utc_now()
    # What was there is shown and embedded meanwhile.
    assert shown(worker, listing_id) == [sha(1), sha(3)]
    (meanwhile,) = embed_jobs(worker, job_id)
    run_job(worker.runtime, meanwhile)
    assert worker.search(3, limit=1) == [listing_id]
    del host.statuses["/2.jpg"]
    fetched(worker, job_id)
    assert shown(worker, listing_id) == [sha(1), sha(2), sha(3)]
    run_job(worker.runtime, job_id)
    job = worker.job(job_id)
    assert (job.status, job.done, job.failed) == (JobStatus.SUCCEEDED, 3, 0)
    assert host.asked == {"/1.jpg": 1, "/2.jpg": 2, "/3.jpg": 1}


def test_a_retry_fetches_what_is_missing(fetching: MakeFetcher, host: PhotoHost) -> None:
    worker = fetching()
    host.statuses["/2.jpg"] = HTTPStatus.SERVICE_UNAVAILABLE
    listing_id, job_id = listed(worker, host.url("1.jpg"), host.url("2.jpg"), host.url("none"))
    for _ in range(worker.runtime.config.max_attempts):
        queued = fetched(worker, job_id)
    # To embed it has all its attempts.
    assert (queued.status, queued.attempt - queued.attempts_before) == (JobStatus.QUEUED, 0)
    run_job(worker.runtime, job_id)
    job = worker.job(job_id)
    assert (job.status, job.error_code) == (JobStatus.FAILED, "unavailable")
    assert "503" in (job.error_detail or "")
    assert (job.done, job.failed) == (1, 2)
    assert [error.code for error in errors_of(job)] == ["invalid_input", "unavailable"]
    assert shown(worker, listing_id) == [sha(1)]
    asked = dict(host.asked)

    del host.statuses["/2.jpg"]
    with worker.database.write() as session:
        cancelling.retry(session, job_id, utc_now())
    fetched(worker, job_id)
    run_job(worker.runtime, job_id)
    job = worker.job(job_id)
    assert (job.status, job.done, job.failed) == (JobStatus.SUCCEEDED, 2, 1)
    assert [error.position for error in errors_of(job)] == [2]
    assert shown(worker, listing_id) == [sha(1), sha(2)]
    assert host.asked == {**asked, "/2.jpg": asked["/2.jpg"] + 1}


def test_photos_that_were_stated_since_stay(fetching: MakeFetcher, host: PhotoHost) -> None:
    worker = fetching()
    listing_id, job_id = listed(worker, host.url("1.jpg"))
    deleted_id, deleted_job = listed(worker, host.url("2.jpg"))
    worker.list_photos(jpeg(9), listing_id=listing_id)
    with worker.database.write() as session:
        delete_listing(session, deleted_id, utc_now())
    for superseded in (job_id, deleted_job):
        job = fetched(worker, superseded)
        assert (job.status, job.done, job.failed) == (JobStatus.SUCCEEDED, 0, 1)
        assert [error.code for error in errors_of(job)] == [SUPERSEDED]
    assert shown(worker, listing_id) == [sha(9)]
    assert shown(worker, deleted_id) == []


def test_the_same_photos_stated_again_are_a_statement_too(
    fetching: MakeFetcher, host: PhotoHost
) -> None:
    worker = fetching()
    listing_id, job_id = listed(worker, host.url("1.jpg"))
    with worker.database.write() as session:
        set_photos(session, {listing_id: []})
    assert errors_of(fetched(worker, job_id))[0].code == SUPERSEDED
    assert shown(worker, listing_id) == []


def test_of_two_attempts_one_has_an_effect(fetching: MakeFetcher, host: PhotoHost) -> None:
    worker = fetching()
    listing_id, job_id = listed(worker, host.url("1.jpg"), host.url("hang", "slow.example"))
    run_job(worker.runtime, job_id)
    wait_until(lambda: host.asked["/hang"])
    # Its process is taken for dead, and another one claims the job.
    with worker.database.write() as session:
        attempts.hand_back(
            session, claiming.Claim(job_id, JobType.EMBED, 1, 1, {}, utc_now()), utc_now()
        )
    other = fetching()
    run_job(other.runtime, job_id)
    host.released.set()
    wait_until(lambda: worker.job(job_id).status is JobStatus.QUEUED)
    run_job(other.runtime, job_id)
    job = worker.job(job_id)
    assert (job.status, job.done, job.failed) == (JobStatus.SUCCEEDED, 2, 0)
    assert shown(worker, listing_id) == [sha(1), sha(0)]
    assert vectors(worker) == 2
    assert embed_jobs(worker) == []


def test_what_a_lost_claim_has_fetched_is_not_recorded(worker: WorkerHarness) -> None:
    listing_id, job_id = listed(worker, "http://photos.example/1.jpg")
    claim = worker.claim(job_id)
    with worker.database.write() as session:
        attempts.hand_back(session, claim, utc_now())
    (photo,) = _stored(worker, 1)
    payload = payload_as(worker.job(job_id), EmbedPayload)
    with pytest.raises(ClaimLost), worker.database.write() as session:
        record_fetched(
            session,
            claim,
            payload,
            Fetched({payload.urls[0]: photo}),
            now=utc_now(),
            new_id=uuid4,
            max_attempts=3,
        )
    assert shown(worker, listing_id) == []


def test_where_it_is_not_allowed_nothing_is_fetched(fetching: MakeFetcher, host: PhotoHost) -> None:
    worker = fetching(allowed=False)
    _, job_id = listed(worker, host.url("1.jpg"))
    fetched(worker, job_id)
    run_job(worker.runtime, job_id)
    (error,) = errors_of(worker.job(job_id))
    assert "MARKETLENS_PHOTO_URLS=all" in error.detail
    assert not host.asked


def test_a_bulk_request_tells_which_rows_lack_photos(
    fetching: MakeFetcher, host: PhotoHost
) -> None:
    worker = fetching()
    parent = uuid4()
    with worker.database.write() as session:
        taken = BatchResult(rows=2, accepted=2, listing_ids=(), errors=())
        accepting.accept_batch(session, taken, job_id=parent, now=utc_now(), total=3)
    host.statuses["/2.jpg"] = HTTPStatus.SERVICE_UNAVAILABLE
    urls = (host.url("1.jpg"), host.url("2.jpg"))
    _, first = listed(worker, *urls, row=1, parent=parent)
    _, second = listed(worker, host.url("3.jpg"), row=2, parent=parent)
    for _ in range(worker.runtime.config.max_attempts):
        fetched(worker, first)
    fetched(worker, second)
    for job_id in (first, second, *embed_jobs(worker, first, second)):
        run_job(worker.runtime, job_id)
    batch = worker.job(parent)
    assert (batch.status, batch.done, batch.failed) == (JobStatus.SUCCEEDED, 2, 1)
    (error,) = result_as(batch, BatchResult).errors
    assert (error.row, error.code) == (1, "unavailable")
    assert "503" in error.detail

    del host.statuses["/2.jpg"]
    with worker.database.write() as session:
        cancelling.retry(session, first, utc_now())
    fetched(worker, first)
    run_job(worker.runtime, first)
    batch = worker.job(parent)
    assert (batch.status, batch.done, batch.failed) == (JobStatus.SUCCEEDED, 3, 0)
    assert result_as(batch, BatchResult) == taken


def test_a_lease_is_renewed_while_a_host_is_slow(fetching: MakeFetcher, host: PhotoHost) -> None:
    worker = fetching(lease=timedelta(seconds=1))
    _, kept = listed(worker, host.url("hang?1", "slow.example"))
    listing_id, cancelled = listed(worker, host.url("hang?2", "slow.example"))
    for job_id in (kept, cancelled):
        run_job(worker.runtime, job_id)
    claimed_until = worker.job(kept).lease_expires_at
    with worker.database.write() as session:
        cancelling.cancel(session, cancelled, utc_now())
    assert claimed_until
    wait_until(lambda: worker.job(kept).lease_expires_at != claimed_until)
    renewed_until = worker.job(kept).lease_expires_at
    assert renewed_until
    assert renewed_until > claimed_until
    host.released.set()
    wait_until(lambda: worker.job(kept).status is JobStatus.QUEUED)
    assert worker.job(cancelled).status is JobStatus.CANCELLED
    assert shown(worker, listing_id) == []


def test_more_than_it_can_hold_is_left_to_others(
    fetching: MakeFetcher, host: PhotoHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.fetching.photo_fetcher.MAX_JOBS", 1)
    worker = fetching()
    _, first = listed(worker, host.url("hang", "slow.example"))
    _, second = listed(worker, host.url("1.jpg"))
    for job_id in (first, second):
        run_job(worker.runtime, job_id)
    job = worker.job(second)
    assert (job.status, job.attempt - job.attempts_before) == (JobStatus.QUEUED, 0)
    assert job.publish_after > utc_now()


def test_threads_end_with_their_photos(fetching: MakeFetcher, host: PhotoHost) -> None:
    worker = fetching()
    _, job_id = listed(worker, *(host.url(f"{number}.jpg") for number in range(12)))
    fetched(worker, job_id)
    wait_until(lambda: not any(thread.name == "fetch" for thread in threading.enumerate()))


def _stored(worker: WorkerHarness, *seeds: int) -> list[PhotoData]:
    return stored_photos(worker.runtime.store, *(jpeg(seed) for seed in seeds))
