"""Match labels are calibrated by themselves, and searches have them from then on."""

import io
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image

from db.catalogue.listings import ListingData
from db.jobs import accepting, cancelling
from db.tables import Job
from db.vectors.encoders import get_encoder, set_matching
from models.domain.clock import utc_now
from models.domain.errors import Conflict
from models.domain.job_payloads import EmbedPayload
from models.domain.job_results.encoders import CalibrateResult
from models.domain.job_results.searches import SearchResult
from models.domain.types import JobStatus, JobType, MatchLabel
from models.matching import strangers
from models.matching.labels import Calibration, SameItem, stored_calibration
from models.photo_decoding import standardise
from tests.support.catalogue import add_listing, stored_photos
from tests.support.payloads import result_as
from tests.support.pictures import jpeg
from tests.support.workers import WorkerHarness
from workers.encoders import auto_adapt, auto_calibrate, calibrating
from workers.encoders.auto_calibrate import calibrate_if_due
from workers.jobs import calibrate
from workers.tasks import run_job

LISTINGS = 24

SOME = Calibration(
    photos=100,
    listings=50,
    same_item=SameItem(similarity=0.9, ratio=0.5),
    same_item_alone=0.98,
    very_similar=0.7,
    very_similar_alone=0.5,
    related=0.2,
    stranger=0.2,
)


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrating, "MIN_LISTINGS", LISTINGS)
    monkeypatch.setattr(auto_calibrate, "MIN_PHOTOS", LISTINGS)
    monkeypatch.setattr(strangers, "EACH", 1)


def fill(worker: WorkerHarness, count: int, start: int = 0, category: str | None = "A / B") -> None:
    """Listings of one drawn picture each, embedded."""
    photo_ids: list[int] = []
    stored = [stored_photos(worker.runtime.store, jpeg(start + seed)) for seed in range(count)]
    with worker.database.write() as session:
        for photos in stored:
            listing = ListingData(uuid4(), "A thing", category=category)
            photo_ids += add_listing(session, photos, worker.now(), listing=listing)[1]
    assert worker.embed(photo_ids).status is JobStatus.SUCCEEDED


@pytest.fixture
def catalogue(worker: WorkerHarness, few_are_enough: None) -> WorkerHarness:
    del few_are_enough
    fill(worker, LISTINGS)
    worker.reindex()
    return worker


def stored(worker: WorkerHarness) -> Calibration | None:
    with worker.database.read() as session:
        return stored_calibration(get_encoder(session, worker.encoder_id).matching)


def search(worker: WorkerHarness, photo: bytes, **wanted: Any) -> SearchResult:
    sha256 = worker.runtime.store.put(standardise(photo).data)
    payload = {"positive": [sha256], "limit": 10, **wanted}
    return result_as(worker.do(JobType.SEARCH, payload), SearchResult)


def red_square() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (250, 10, 10)).save(file, "PNG")
    return file.getvalue()


def labels(result: SearchResult) -> list[MatchLabel | None]:
    return [one.match for one in result.results]


def use(worker: WorkerHarness, calibration: Calibration = SOME) -> None:
    with worker.database.write() as session:
        set_matching(session, worker.encoder_id, calibration.to_json())


def test_what_was_calibrated_labels_searches(catalogue: WorkerHarness) -> None:
    assert search(catalogue, jpeg(3)).match is None
    assert set(labels(search(catalogue, jpeg(3)))) == {None}
    job = catalogue.do(JobType.CALIBRATE, {})
    assert job.status is JobStatus.SUCCEEDED, job.error_detail
    result = result_as(job, CalibrateResult)
    assert result.refusal is None
    assert (result.photos, result.listings) == (LISTINGS, LISTINGS)
    calibration = stored(catalogue)
    assert calibration
    # All are of one category: whatever is found, is.
    assert calibration.very_similar_alone is not None
    assert calibration.precision.very_similar
    assert calibration.precision.very_similar.value == 1
    found = search(catalogue, jpeg(3))
    assert found.match is found.results[0].match
    assert found.match is not MatchLabel.NONE
    ranks = [list(MatchLabel).index(one) for one in labels(found) if one]
    assert len(ranks) == 10
    assert ranks == sorted(ranks)


def test_labels_follow_the_neighbourhood(catalogue: WorkerHarness) -> None:
    use(catalogue)
    found = search(catalogue, jpeg(3))
    assert labels(found)[0] is MatchLabel.SAME_ITEM
    assert MatchLabel.SAME_ITEM not in labels(found)[1:]
    nothing = Calibration.model_validate({**SOME.to_json(), "stranger": 1.1})
    use(catalogue, nothing)
    found = search(catalogue, red_square())
    assert (found.match, set(labels(found))) == (MatchLabel.NONE, {MatchLabel.NONE})
    assert len(found.results) == 10


def test_a_page_and_a_filter_have_the_labels_of_the_whole(catalogue: WorkerHarness) -> None:
    use(catalogue)
    whole = search(catalogue, jpeg(500), limit=12)
    first = search(catalogue, jpeg(500), limit=4)
    second = search(catalogue, jpeg(500), limit=8, cursor=first.next_cursor)
    assert labels(first) + labels(second) == labels(whole)
    narrow = search(catalogue, jpeg(3), filter={"category": "A"})
    assert labels(narrow)[0] is MatchLabel.SAME_ITEM


def test_a_listing_is_no_neighbour_of_itself(catalogue: WorkerHarness) -> None:
    use(catalogue)
    photos = [jpeg(900 + seed) for seed in range(12)]
    own, photo_ids = catalogue.list_photos(*photos)
    assert catalogue.embed(photo_ids).status is JobStatus.SUCCEEDED
    again = catalogue.list_pictures(900)
    result = result_as(
        catalogue.do(JobType.SEARCH, {"positive": [str(own)], "limit": 5}), SearchResult
    )
    assert result.results[0].listing_id == again
    assert labels(result)[0] is MatchLabel.SAME_ITEM


def test_several_examples_have_no_labels(catalogue: WorkerHarness) -> None:
    use(catalogue)
    other = catalogue.runtime.store.put(standardise(jpeg(4)).data)
    found = search(catalogue, jpeg(3), negative=[other])
    assert (found.match, set(labels(found))) == (None, {None})


def test_an_empty_catalogue_has_no_labels(worker: WorkerHarness) -> None:
    use(worker)
    assert search(worker, jpeg(3)).match is None
    result = result_as(worker.do(JobType.CALIBRATE, {}), CalibrateResult)
    assert result.refusal
    assert "there are 0" in result.refusal


@pytest.mark.usefixtures("few_are_enough")
def test_without_categories_the_same_item_is_still_told(worker: WorkerHarness) -> None:
    fill(worker, LISTINGS, category=None)
    result = result_as(worker.do(JobType.CALIBRATE, {}), CalibrateResult)
    assert result.refusal is None
    assert MatchLabel.VERY_SIMILAR in result.withheld


@pytest.mark.usefixtures("few_are_enough")
def test_photos_that_are_gone_are_left_out(worker: WorkerHarness) -> None:
    fill(worker, LISTINGS)
    for seed in range(LISTINGS):
        worker.runtime.store.delete(standardise(jpeg(seed)).sha256)
    result = result_as(worker.do(JobType.CALIBRATE, {}), CalibrateResult)
    assert result.refusal
    assert "can be read" in result.refusal
    assert stored(worker) is None


def due(worker: WorkerHarness, now: datetime | None = None) -> Job | None:
    return calibrate_if_due(worker.database, clock=lambda: now or utc_now(), new_id=uuid4)


def test_it_is_due_once_and_again_with_half_as_much_more(catalogue: WorkerHarness) -> None:
    first = due(catalogue)
    assert first
    assert due(catalogue) is None  # one is open
    run_job(catalogue.runtime, first.id)
    assert stored(catalogue)
    assert due(catalogue) is None
    fill(catalogue, LISTINGS // 2, start=LISTINGS)
    assert due(catalogue) is None  # they are not in the index yet
    catalogue.reindex()
    assert due(catalogue)


def test_another_encoder_has_labels_of_its_own(catalogue: WorkerHarness) -> None:
    catalogue.do(JobType.CALIBRATE, {})
    assert due(catalogue) is None
    other, other_id = catalogue.add_encoder("other")
    del other
    with catalogue.database.read() as session:
        photo_ids = list(range(1, LISTINGS + 1))
        assert get_encoder(session, other_id).matching is None
    payload = {"photo_ids": photo_ids, "encoder_id": other_id}
    assert catalogue.do(JobType.EMBED, payload).status is JobStatus.SUCCEEDED
    catalogue.activate(other_id, force=True)
    again = due(catalogue)
    assert again
    run_job(catalogue.runtime, again.id)
    assert stored(catalogue)


def test_a_refusal_is_not_tried_again_before_there_is_more(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto_calibrate, "MIN_PHOTOS", 5)
    for seed in range(6):
        worker.list_pictures(seed)
    first = due(worker)
    assert first
    run_job(worker.runtime, first.id)
    assert result_as(worker.job(first.id), CalibrateResult).refusal
    assert due(worker) is None
    for seed in range(6, 9):
        worker.list_pictures(seed)
    assert due(worker)


def test_nothing_is_due_for_an_empty_catalogue(worker: WorkerHarness) -> None:
    assert due(worker) is None


@pytest.mark.parametrize("job_type", [JobType.REINDEX, JobType.ADAPT])
def test_nothing_is_due_while_the_catalogue_changes(
    catalogue: WorkerHarness, job_type: JobType
) -> None:
    catalogue.accept(job_type, {})
    assert due(catalogue) is None


def test_nothing_is_due_right_after_a_feed(catalogue: WorkerHarness) -> None:
    with catalogue.database.write() as session:
        for number in range(auto_adapt.BUSY_JOBS + 1):
            payload = EmbedPayload(photo_ids=(number,))
            job = accepting.accept(session, payload, job_id=uuid4(), now=utc_now())
            cancelling.cancel(session, job.id, utc_now())
    assert due(catalogue) is None
    assert due(catalogue, utc_now() + auto_adapt.QUIET_FOR)


def test_after_a_failure_an_hour_passes(
    catalogue: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Conflict("it can't be done")

    monkeypatch.setattr(calibrate, "calibrate_encoder", fail)
    assert catalogue.do(JobType.CALIBRATE, {}).status is JobStatus.FAILED
    assert due(catalogue) is None
    assert due(catalogue, utc_now() + auto_calibrate.BACKOFF_AFTER_FAILURE + timedelta(seconds=1))


def test_what_the_nearest_photos_agree_on_is_very_similar(
    worker: WorkerHarness, few_are_enough: None
) -> None:
    del few_are_enough
    fill(worker, LISTINGS, category="A / B / C")
    fill(worker, 4, start=LISTINGS, category="D")
    bare = {"related": -1, "stranger": -1, "very_similar_alone": None}
    use(worker, Calibration.model_validate({**SOME.to_json(), **bare}))
    found = search(worker, jpeg(500), limit=50)
    given = {one.category: one.match for one in found.results}
    assert given == {"A / B / C": MatchLabel.VERY_SIMILAR, "D": MatchLabel.RELATED}


def test_a_ranked_search_has_the_labels_of_a_plain_one(catalogue: WorkerHarness) -> None:
    use(catalogue)
    plain = {one.listing_id: one.match for one in search(catalogue, jpeg(3)).results}
    ranked = search(catalogue, jpeg(3), rank={"weights": {"similarity": 1, "freshness": 0.1}})
    assert {one.listing_id: one.match for one in ranked.results} == plain
    assert MatchLabel.SAME_ITEM in plain.values()
    assert ranked.match is MatchLabel.SAME_ITEM


def test_words_alone_have_no_labels(catalogue: WorkerHarness) -> None:
    use(catalogue)
    found = result_as(catalogue.do(JobType.SEARCH, {"text": "thing", "limit": 5}), SearchResult)
    assert len(found.results) == 5
    assert (found.match, set(labels(found))) == (None, {None})
