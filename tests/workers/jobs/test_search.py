"""A search sees all that was committed before it, and nothing that was taken out."""

import io
from typing import Any
from uuid import UUID, uuid4

import pytest
from PIL import Image, ImageOps

from db.catalogue.listings import ListingData, delete_listing, upsert_listings
from models.domain.filters import ListingFilter
from models.domain.types import JobStatus, JobType, ListingStatus
from models.photos import standardise
from tests.support.pictures import jpeg, picture
from tests.workers.conftest import Workshop


def listed(workshop: Workshop, *seeds: int) -> UUID:
    """A listing with these drawn pictures, embedded."""
    listing_id, photo_ids = workshop.list_photos(*(jpeg(seed) for seed in seeds))
    assert workshop.embed(photo_ids).status is JobStatus.SUCCEEDED
    return listing_id


def delete(workshop: Workshop, listing_id: UUID) -> None:
    with workshop.database.write() as session:
        delete_listing(session, listing_id, workshop.now())


def grey() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(file, "PNG")
    return file.getvalue()


def test_a_listing_is_found_by_any_of_its_photos_first(workshop: Workshop) -> None:
    ids = [listed(workshop, seed, seed + 100) for seed in range(5)]
    for seed, listing_id in enumerate(ids):
        for photo in (seed, seed + 100):
            found = workshop.search(photo)
            assert found[0] == listing_id
            assert sorted(found) == sorted(ids)


def test_result_says_where_it_came_from(workshop: Workshop) -> None:
    listing_id = listed(workshop, 1)
    standard = standardise(jpeg(1))
    workshop.runtime.store.put(standard.data)
    job = workshop.do(JobType.SEARCH, {"photo": standard.sha256, "limit": 3})
    result = job.result
    assert result
    assert (result["generation"], result["exact"]) == (None, True)
    assert result["encoder"] == workshop.encoder.spec.label
    assert {"queue", "decode", "embed", "search", "total"} <= set(result["took_ms"])
    (row,) = result["results"]
    assert row["listing_id"] == str(listing_id)
    assert row["similarity"] > 0.999
    assert row["photo"] == {"id": standard.sha256, "url": f"/v1/photos/{standard.sha256}"}


def test_the_same_bytes_are_not_embedded_again(workshop: Workshop) -> None:
    listed(workshop, 1)
    before = workshop.encoder.embedded
    workshop.search(1)
    assert workshop.encoder.embedded == before
    workshop.search(2)
    assert workshop.encoder.embedded == before + 1


def test_deleted_is_gone_from_the_next_search_on(workshop: Workshop) -> None:
    gone, kept = listed(workshop, 1), listed(workshop, 2)
    assert workshop.search(1)[0] == gone
    delete(workshop, gone)
    assert workshop.search(1) == [kept]
    workshop.reindex()
    assert workshop.search(1) == [kept]


def test_deleted_from_a_generation_and_listed_again(workshop: Workshop) -> None:
    back, kept = listed(workshop, 1), listed(workshop, 2)
    workshop.reindex()
    assert workshop.search(1) == [back, kept]
    delete(workshop, back)
    assert workshop.search(1) == [kept]
    workshop.list_photos(jpeg(1), listing_id=back)
    assert workshop.search(1) == [back, kept]


def test_a_shared_photo_finds_every_listing_that_shows_it(workshop: Workshop) -> None:
    first, second = listed(workshop, 1), listed(workshop, 1)
    assert set(workshop.search(1)) == {first, second}
    delete(workshop, first)
    assert workshop.search(1) == [second]


def test_limit_counts_listings_though_each_has_many_photos(workshop: Workshop) -> None:
    for number in range(4):
        listed(workshop, *range(number * 10, number * 10 + 8))
    assert len(workshop.search(0, limit=3)) == 3
    assert len(workshop.search(0, limit=10)) == 4


def test_embedded_after_the_index_last_looked(workshop: Workshop) -> None:
    known = listed(workshop, 1)
    late, photo_ids = workshop.list_photos(jpeg(2))
    assert workshop.search(2) == [known]
    workshop.embed(photo_ids)
    assert workshop.search(2) == [late, known]


def test_a_listing_never_finds_itself(workshop: Workshop) -> None:
    first, second = listed(workshop, 1, 2), listed(workshop, 3)
    job = workshop.do(JobType.SEARCH, {"listing_id": str(first), "limit": 10})
    assert job.result
    assert [row["listing_id"] for row in job.result["results"]] == [str(second)]


def test_a_listing_searches_before_its_own_embedding_is_done(workshop: Workshop) -> None:
    other = listed(workshop, 3)
    fresh, _ = workshop.list_photos(jpeg(1))
    job = workshop.do(JobType.SEARCH, {"listing_id": str(fresh), "limit": 10})
    assert job.result
    assert [row["listing_id"] for row in job.result["results"]] == [str(other)]


def test_unknown_listing_fails_the_job_with_a_reason(workshop: Workshop) -> None:
    job = workshop.do(JobType.SEARCH, {"listing_id": str(uuid4()), "limit": 1})
    assert (job.status, job.error_code) == (JobStatus.FAILED, "not_found")


def test_empty_catalogue_finds_nothing(workshop: Workshop) -> None:
    assert workshop.search(1) == []


def test_a_catalogue_never_embedded_says_so(workshop: Workshop) -> None:
    workshop.list_photos(jpeg(1))
    sha256 = workshop.runtime.store.put(standardise(jpeg(2)).data)
    job = workshop.do(JobType.SEARCH, {"photo": sha256, "limit": 1})
    assert (job.status, job.error_code) == (JobStatus.FAILED, "nothing_indexed")


def test_a_photo_with_nothing_to_compare(workshop: Workshop) -> None:
    listed(workshop, 1)
    sha256 = workshop.runtime.store.put(standardise(grey()).data)
    job = workshop.do(JobType.SEARCH, {"photo": sha256, "limit": 1})
    assert (job.status, job.error_code) == (JobStatus.FAILED, "invalid_photo")


def kept(workshop: Workshop, data: bytes) -> str:
    """The name of a photo that is stored."""
    return workshop.runtime.store.put(standardise(data).data)


def result_of(workshop: Workshop, **payload: Any) -> dict[str, Any]:
    job = workshop.do(JobType.SEARCH, {"limit": 10, **payload})
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


def test_pages_follow_each_other(workshop: Workshop) -> None:
    ids = [listed(workshop, seed) for seed in range(7)]
    asked = {"positive": [kept(workshop, jpeg(3))], "limit": 3}
    whole = found(result_of(workshop, **asked | {"limit": 7}))
    assert sorted(whole) == sorted(ids)
    first = result_of(workshop, **asked)
    second = result_of(workshop, **asked, cursor=first["next_cursor"])
    workshop.reindex()
    third = result_of(workshop, **asked, cursor=second["next_cursor"])
    assert [found(page) for page in (first, second, third)] == [whole[:3], whole[3:6], whole[6:]]
    assert third["next_cursor"] is None


def test_a_page_of_another_encoder_can_not_be_gone_on_with(workshop: Workshop) -> None:
    for seed in (1, 2):
        listed(workshop, seed)
    asked = {"positive": [kept(workshop, jpeg(1))], "limit": 1}
    cursor = result_of(workshop, **asked)["next_cursor"]
    _, other = workshop.add_encoder("other")
    workshop.activate(other, force=True)
    job = workshop.do(JobType.SEARCH, {**asked, "cursor": cursor})
    assert (job.status, job.error_code) == (JobStatus.FAILED, "cursor_expired")


def test_what_is_named_is_never_found(workshop: Workshop) -> None:
    liked, disliked, other = (listed(workshop, seed) for seed in (1, 2, 3))
    asked = {"positive": [str(liked)], "negative": [str(disliked)]}
    assert found(result_of(workshop, **asked)) == [other]


def test_several_positives_find_what_is_like_all_of_them(workshop: Workshop) -> None:
    between = Image.blend(picture(1), picture(2), 0.5)
    middle, photo_ids = workshop.list_photos(png(between))
    workshop.embed(photo_ids)
    first, second = listed(workshop, 1), listed(workshop, 2)
    names = [kept(workshop, jpeg(1)), kept(workshop, jpeg(2))]
    assert found(result_of(workshop, positive=names[:1]))[0] == first
    assert found(result_of(workshop, positive=names[1:]))[0] == second
    assert found(result_of(workshop, positive=names))[0] == middle


def test_what_is_like_a_negative_counts_less(workshop: Workshop) -> None:
    listed(workshop, 1)
    asked = {"positive": [kept(workshop, png(Image.blend(picture(1), picture(2), 0.5)))]}
    (before,) = result_of(workshop, **asked)["results"]
    (after,) = result_of(workshop, **asked, negative=[kept(workshop, jpeg(1))])["results"]
    assert after["similarity"] < before["similarity"]


def test_what_cancels_out_says_so(workshop: Workshop) -> None:
    listed(workshop, 1)
    # Light and dark by as much, which JPEG keeps exactly.
    halves = Image.new("L", (256, 256), 128 + 60)
    halves.paste(128 - 60, (128, 0, 256, 256))
    names = [kept(workshop, png(image)) for image in (halves, ImageOps.mirror(halves))]
    job = workshop.do(JobType.SEARCH, {"positive": names, "limit": 1})
    assert (job.status, job.error_code) == (JobStatus.FAILED, "invalid_input")


def test_a_region_is_searched_by_alone(workshop: Workshop) -> None:
    left, right = listed(workshop, 1), listed(workshop, 2)
    name = kept(workshop, side_by_side(1, 2))
    assert found(result_of(workshop, positive=[name], region=RIGHT_HALF))[0] == right
    half = {**RIGHT_HALF, "x": 0}
    assert found(result_of(workshop, positive=[name], region=half))[0] == left


def test_a_region_never_takes_the_vector_of_its_photo(workshop: Workshop) -> None:
    both, photo_ids = workshop.list_photos(side_by_side(1, 2))
    workshop.embed(photo_ids)
    right = listed(workshop, 2)
    name = kept(workshop, side_by_side(1, 2))
    assert found(result_of(workshop, positive=[name])) == [both, right]
    assert found(result_of(workshop, positive=[name], region=RIGHT_HALF)) == [right, both]


def test_a_region_too_small_to_see(workshop: Workshop) -> None:
    name = kept(workshop, jpeg(1))
    region = {"x": 0, "y": 0, "w": 0.05, "h": 1}
    job = workshop.do(JobType.SEARCH, {"positive": [name], "region": region, "limit": 1})
    assert (job.status, job.error_code) == (JobStatus.FAILED, "invalid_photo")


@pytest.mark.parametrize("status", [ListingStatus.SOLD, ListingStatus.RESERVED])
def test_what_is_no_longer_for_sale_is_found_only_when_asked_for(
    workshop: Workshop, status: ListingStatus
) -> None:
    gone, active = listed(workshop, 1), listed(workshop, 2)
    with workshop.database.write() as session:
        upsert_listings(session, [ListingData(gone, "A thing", status=status)], workshop.now())
    assert workshop.search(1) == [active]
    wanted = ListingFilter(status=(status,)).to_payload()
    result = result_of(workshop, positive=[kept(workshop, jpeg(1))], filter=wanted)
    assert (found(result), result["exact"]) == ([gone], True)
