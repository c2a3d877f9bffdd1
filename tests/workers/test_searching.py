"""A search sees all that was committed before it, and nothing that was taken out."""

import io
from uuid import UUID, uuid4

from PIL import Image

from db.listings import delete_listing
from models.domain import JobStatus, JobType
from models.photos import standardise
from tests.support.pictures import jpeg
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
