"""A search sees all that was committed before it, and nothing that was taken out."""

import io
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from PIL import Image, ImageOps

from db.catalogue.listings import ListingData, upsert_listings
from models.domain.job_results.searches import SearchResult
from models.domain.searches.attributes import Attributes, clean_attributes
from models.domain.types import JobStatus, JobType, ListingStatus
from models.photo_decoding import standardise
from tests.support.payloads import result_as
from tests.support.pictures import grey, jpeg, picture
from tests.support.workers import WorkerHarness


def test_a_listing_is_found_by_any_of_its_photos_first(worker: WorkerHarness) -> None:
    ids = [worker.list_pictures(seed, seed + 100) for seed in range(5)]
    for seed, listing_id in enumerate(ids):
        for photo in (seed, seed + 100):
            found = worker.search(photo)
            assert found[0] == listing_id
            assert sorted(found) == sorted(ids)


def test_result_says_where_it_came_from(worker: WorkerHarness) -> None:
    listing_id = worker.list_pictures(1)
    standard = standardise(jpeg(1))
    worker.runtime.store.put(standard.data)
    job = worker.do(JobType.SEARCH, {"photo": standard.sha256, "limit": 3})
    result = result_as(job, SearchResult)
    assert (result.generation, result.exact) == (None, True)
    assert result.encoder == worker.encoder.spec.label
    assert {"queue", "decode", "embed", "search", "total"} <= set(result.took_ms)
    (row,) = result.results
    assert row.listing_id == listing_id
    assert row.similarity is not None
    assert row.similarity > 0.999
    assert row.photo == standard.sha256


def test_the_same_bytes_are_not_embedded_again(worker: WorkerHarness) -> None:
    worker.list_pictures(1)
    before = worker.encoder.embedded
    worker.search(1)
    assert worker.encoder.embedded == before
    worker.search(2)
    assert worker.encoder.embedded == before + 1


def test_deleted_is_gone_from_the_next_search_on(worker: WorkerHarness) -> None:
    gone, kept = worker.list_pictures(1), worker.list_pictures(2)
    assert worker.search(1)[0] == gone
    worker.delete(gone)
    assert worker.search(1) == [kept]
    worker.reindex()
    assert worker.search(1) == [kept]


def test_deleted_from_a_generation_and_listed_again(worker: WorkerHarness) -> None:
    back, kept = worker.list_pictures(1), worker.list_pictures(2)
    worker.reindex()
    assert worker.search(1) == [back, kept]
    worker.delete(back)
    assert worker.search(1) == [kept]
    worker.list_photos(jpeg(1), listing_id=back)
    assert worker.search(1) == [back, kept]


def test_a_shared_photo_finds_every_listing_that_shows_it(worker: WorkerHarness) -> None:
    first, second = worker.list_pictures(1), worker.list_pictures(1)
    assert set(worker.search(1)) == {first, second}
    worker.delete(first)
    assert worker.search(1) == [second]


def test_limit_counts_listings_though_each_has_many_photos(worker: WorkerHarness) -> None:
    for number in range(4):
        worker.list_pictures(*range(number * 10, number * 10 + 8))
    assert len(worker.search(0, limit=3)) == 3
    assert len(worker.search(0, limit=10)) == 4


def test_embedded_after_the_index_last_looked(worker: WorkerHarness) -> None:
    known = worker.list_pictures(1)
    late, photo_ids = worker.list_photos(jpeg(2))
    assert worker.search(2) == [known]
    worker.embed(photo_ids)
    assert worker.search(2) == [late, known]


def test_a_listing_never_finds_itself(worker: WorkerHarness) -> None:
    first, second = worker.list_pictures(1, 2), worker.list_pictures(3)
    job = worker.do(JobType.SEARCH, {"listing_id": str(first), "limit": 10})
    assert [row.listing_id for row in result_as(job, SearchResult).results] == [second]


def test_a_listing_searches_before_its_own_embedding_is_done(worker: WorkerHarness) -> None:
    other = worker.list_pictures(3)
    fresh, _ = worker.list_photos(jpeg(1))
    job = worker.do(JobType.SEARCH, {"listing_id": str(fresh), "limit": 10})
    assert [row.listing_id for row in result_as(job, SearchResult).results] == [other]


def test_unknown_listing_fails_the_job_with_a_reason(worker: WorkerHarness) -> None:
    job = worker.do(JobType.SEARCH, {"listing_id": str(uuid4()), "limit": 1})
    assert (job.status, job.error_code) == (JobStatus.FAILED, "not_found")


def test_empty_catalogue_finds_nothing(worker: WorkerHarness) -> None:
    assert worker.search(1) == []
    sha256 = worker.runtime.store.put(standardise(jpeg(2)).data)
    job = worker.do(JobType.SEARCH, {"photo": sha256, "limit": 1})
    assert result_as(job, SearchResult).nothing_indexed is False


def test_a_catalogue_never_embedded_says_so(worker: WorkerHarness) -> None:
    worker.list_photos(jpeg(1))
    sha256 = worker.runtime.store.put(standardise(jpeg(2)).data)
    job = worker.do(JobType.SEARCH, {"photo": sha256, "limit": 1})
    found = result_as(job, SearchResult)
    assert (found.results, found.nothing_indexed) == ((), True)
    worker.list_pictures(1)
    job = worker.do(JobType.SEARCH, {"photo": sha256, "limit": 1})
    assert result_as(job, SearchResult).nothing_indexed is False


def test_a_photo_with_nothing_to_compare(worker: WorkerHarness) -> None:
    worker.list_pictures(1)
    sha256 = worker.runtime.store.put(standardise(grey()).data)
    job = worker.do(JobType.SEARCH, {"photo": sha256, "limit": 1})
    assert (job.status, job.error_code) == (JobStatus.FAILED, "invalid_photo")


def kept(worker: WorkerHarness, data: bytes) -> str:
    """The name of a photo that is stored."""
    return worker.runtime.store.put(standardise(data).data)


def result_of(worker: WorkerHarness, **payload: Any) -> dict[str, Any]:
    job = worker.do(JobType.SEARCH, {"limit": 10, **payload})
    assert job.result, (job.error_code, job.error_detail)
    return job.result


def found(result: dict[str, Any]) -> list[UUID]:
    return [UUID(row["listing_id"]) for row in result["results"]]


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def side_by_side(left: int, right: int) -> bytes:
    both = Image.new("RGB", (400, 160))
    both.paste(picture(left), (0, 0))
    both.paste(picture(right), (200, 0))
    return png(both)


RIGHT_HALF = {"x": 0.5, "y": 0, "w": 0.5, "h": 1}


def test_pages_follow_each_other(worker: WorkerHarness) -> None:
    ids = [worker.list_pictures(seed) for seed in range(7)]
    asked = {"positive": [kept(worker, jpeg(3))], "limit": 3}
    whole = found(result_of(worker, **asked | {"limit": 7}))
    assert sorted(whole) == sorted(ids)
    first = result_of(worker, **asked)
    second = result_of(worker, **asked, cursor=first["next_cursor"])
    worker.reindex()
    third = result_of(worker, **asked, cursor=second["next_cursor"])
    assert [found(page) for page in (first, second, third)] == [whole[:3], whole[3:6], whole[6:]]
    assert third["next_cursor"] is None


def test_a_page_of_another_encoder_can_not_be_gone_on_with(worker: WorkerHarness) -> None:
    for seed in (1, 2):
        worker.list_pictures(seed)
    asked = {"positive": [kept(worker, jpeg(1))], "limit": 1}
    cursor = result_of(worker, **asked)["next_cursor"]
    _, other = worker.add_encoder("other")
    worker.activate(other, force=True)
    job = worker.do(JobType.SEARCH, {**asked, "cursor": cursor})
    assert (job.status, job.error_code) == (JobStatus.FAILED, "cursor_expired")


def test_what_is_named_is_never_found(worker: WorkerHarness) -> None:
    liked, disliked, other = (worker.list_pictures(seed) for seed in (1, 2, 3))
    asked = {"positive": [str(liked)], "negative": [str(disliked)]}
    assert found(result_of(worker, **asked)) == [other]


def test_several_positives_find_what_is_like_all_of_them(worker: WorkerHarness) -> None:
    between = Image.blend(picture(1), picture(2), 0.5)
    middle, photo_ids = worker.list_photos(png(between))
    worker.embed(photo_ids)
    first, second = worker.list_pictures(1), worker.list_pictures(2)
    names = [kept(worker, jpeg(1)), kept(worker, jpeg(2))]
    assert found(result_of(worker, positive=names[:1]))[0] == first
    assert found(result_of(worker, positive=names[1:]))[0] == second
    assert found(result_of(worker, positive=names))[0] == middle


def test_what_is_like_a_negative_counts_less(worker: WorkerHarness) -> None:
    worker.list_pictures(1)
    asked = {"positive": [kept(worker, png(Image.blend(picture(1), picture(2), 0.5)))]}
    (before,) = result_of(worker, **asked)["results"]
    (after,) = result_of(worker, **asked, negative=[kept(worker, jpeg(1))])["results"]
    assert after["similarity"] < before["similarity"]


def test_what_cancels_out_says_so(worker: WorkerHarness) -> None:
    worker.list_pictures(1)
    # Light and dark by as much, which JPEG keeps exactly.
    halves = Image.new("L", (256, 256), 128 + 60)
    halves.paste(128 - 60, (128, 0, 256, 256))
    names = [kept(worker, png(image)) for image in (halves, ImageOps.mirror(halves))]
    job = worker.do(JobType.SEARCH, {"positive": names, "limit": 1})
    assert (job.status, job.error_code) == (JobStatus.FAILED, "invalid_input")


def test_a_region_is_searched_by_alone(worker: WorkerHarness) -> None:
    left, right = worker.list_pictures(1), worker.list_pictures(2)
    name = kept(worker, side_by_side(1, 2))
    assert found(result_of(worker, positive=[name], region=RIGHT_HALF))[0] == right
    half = {**RIGHT_HALF, "x": 0}
    assert found(result_of(worker, positive=[name], region=half))[0] == left


def test_a_region_never_takes_the_vector_of_its_photo(worker: WorkerHarness) -> None:
    both, photo_ids = worker.list_photos(side_by_side(1, 2))
    worker.embed(photo_ids)
    right = worker.list_pictures(2)
    name = kept(worker, side_by_side(1, 2))
    assert found(result_of(worker, positive=[name])) == [both, right]
    assert found(result_of(worker, positive=[name], region=RIGHT_HALF)) == [right, both]


def test_a_region_too_small_to_see(worker: WorkerHarness) -> None:
    name = kept(worker, jpeg(1))
    region = {"x": 0, "y": 0, "w": 0.05, "h": 1}
    job = worker.do(JobType.SEARCH, {"positive": [name], "region": region, "limit": 1})
    assert (job.status, job.error_code) == (JobStatus.FAILED, "invalid_photo")


@pytest.mark.parametrize("status", [ListingStatus.SOLD, ListingStatus.RESERVED])
def test_what_is_no_longer_for_sale_is_found_only_when_asked_for(
    worker: WorkerHarness, status: ListingStatus
) -> None:
    gone, active = worker.list_pictures(1), worker.list_pictures(2)
    with worker.database.write() as session:
        upsert_listings(session, [ListingData(gone, "A thing", status=status)], worker.now())
    assert worker.search(1) == [active]
    wanted = {"status": [status.value]}
    result = result_of(worker, positive=[kept(worker, jpeg(1))], filter=wanted)
    assert (found(result), result["exact"]) == ([gone], True)


def test_attributes_and_facets_are_of_what_was_committed_before(worker: WorkerHarness) -> None:
    ids = [worker.list_pictures(seed) for seed in range(4)]
    worker.runtime.store.put(standardise(jpeg(0)).data)

    def describe(listing_id: UUID, price: str, **attributes: object) -> None:
        stated: Attributes = clean_attributes(attributes)
        with worker.database.write() as session:
            listing = ListingData(
                listing_id, "Thing", category="Home / Lamps", price=Decimal(price), currency="GBP",
                attributes=stated,
            )  # fmt: skip
            upsert_listings(session, [listing], worker.now())

    def searched(conditions: list[dict[str, object]]) -> SearchResult:
        asked = {
            "photo": standardise(jpeg(0)).sha256,
            "limit": 10,
            "filter": {"attributes": conditions},
            "facets": [
                {"name": "category"},
                {"name": "price", "edges": [10]},
                {"name": "attributes.colour", "values": 1},
            ],
        }
        return result_as(worker.do(JobType.SEARCH, asked), SearchResult)

    describe(ids[0], "5", colour="red", size=40)
    describe(ids[1], "15", colour=["Red", "blue"], size=42)
    result = searched([{"name": "colour", "any_of": ["RED"]}])
    assert {row.listing_id for row in result.results} == set(ids[:2])
    category, price, colour = result.facets
    assert [(one.category, one.count) for one in category.categories] == [
        ("Home", 2), ("Home / Lamps", 2),
    ]  # fmt: skip
    (bands,) = price.bands
    assert [(band.at_least, band.below, band.count) for band in bands.bands] == [
        (None, 10, 1), (10, None, 1),
    ]  # fmt: skip
    assert [(one.value, one.count) for one in colour.values] == [("red", 2)]
    assert (colour.listings, colour.other_values) == (2, 1)

    describe(ids[0], "5", colour="green", size=40)
    describe(ids[2], "5", colour="Green", size=40)
    worker.delete(ids[1])
    result = searched([{"name": "size", "at_least": 40}, {"name": "colour", "any_of": ["green"]}])
    assert {row.listing_id for row in result.results} == {ids[0], ids[2]}
    assert [(one.value, one.count) for one in result.facets[2].values] == [("green", 2)]
    assert searched([{"name": "colour", "any_of": ["red"]}]).facets[0].listings == 0


def test_a_filter_without_attributes_waits_for_no_columns(worker: WorkerHarness) -> None:
    listing_id = worker.list_pictures(1)
    worker.runtime.store.put(standardise(jpeg(1)).data)
    asked = {"photo": standardise(jpeg(1)).sha256, "limit": 3, "filter": {"exclude_seller": "x"}}
    for has_columns in (False, True):
        (row,) = result_as(worker.do(JobType.SEARCH, asked), SearchResult).results
        assert row.listing_id == listing_id
        with worker.database.read() as session:
            assert (worker.runtime.columns.sync(session) is not None) == has_columns
        worker.runtime.columns.wait()
