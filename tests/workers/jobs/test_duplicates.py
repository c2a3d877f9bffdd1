"""Near duplicates in a catalogue, found by a job."""

import io
from typing import Any
from uuid import UUID

import pytest
from PIL import Image, ImageOps
from sqlalchemy import select, update

from db.catalogue.listings import ListingData, delete_listing, upsert_listings
from db.jobs import cancelling
from db.jobs.attempts import ClaimLost
from db.tables import Photo
from models.domain.types import JobType
from models.near_duplicates import LOOKALIKES, perceptual_hash
from models.photo_decoding import decode, standardise
from tests.support.pictures import grey, jpeg, picture
from tests.support.workers import LEASE, WorkerHarness
from workers.jobs import heartbeat
from workers.jobs.duplicates import run_duplicates
from workers.jobs.heartbeat import Heartbeat
from workers.near_duplicates import clusters
from workers.near_duplicates import find as find_module
from workers.near_duplicates.find import find_duplicates
from workers.queue.messages import QUEUE_OF, Queue

SIZE = (300, 240)


def as_jpeg(photo: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return file.getvalue()


def cut(photo: Image.Image, share: float = 0.06) -> Image.Image:
    """Without its edges: the same thing, as seen from a little nearer."""
    x, y = (round(side * share) for side in photo.size)
    return photo.crop((x, y, photo.width - x, photo.height - y))


def offer(worker: WorkerHarness, *photos: bytes, seller: str | None = None) -> UUID:
    """An embedded listing of a seller."""
    listing_id, photo_ids = worker.list_photos(*photos)
    with worker.database.write() as session:
        upsert_listings(session, [ListingData(listing_id, "A thing", seller=seller)], worker.now())
    worker.embed(photo_ids)
    return listing_id


def lookalikes(worker: WorkerHarness) -> None:
    """Enough other listings to tell what is near."""
    for seed in range(100, 100 + LOOKALIKES):
        offer(worker, jpeg(seed, SIZE))


def find(worker: WorkerHarness) -> dict[str, Any]:
    """What the job tells."""
    job = worker.do(JobType.DUPLICATES, {})
    assert job.result, (job.error_code, job.error_detail)
    return job.result


def told(result: dict[str, Any]) -> list[tuple[str, set[UUID]]]:
    """The relation and the listings of each cluster."""
    return [
        (cluster["relation"], {UUID(listing["listing_id"]) for listing in cluster["listings"]})
        for cluster in result["clusters"]
    ]


def test_copies_are_told_from_lookalikes(worker: WorkerHarness) -> None:
    photo = picture(1, SIZE)
    copies = {
        offer(worker, as_jpeg(photo), seller="ann"),
        offer(worker, as_jpeg(photo), seller="ann"),
        offer(worker, as_jpeg(photo, 40), seller="bob"),
        offer(worker, as_jpeg(photo.resize((150, 120))), jpeg(2, SIZE)),
    }
    lookalikes(worker)
    result = find(worker)
    assert told(result) == [("same_photo", copies)]
    (cluster,) = result["clusters"]
    assert (cluster["sellers"], cluster["listings_total"]) == (2, 4)
    assert result["clusters_total"] == {"same_photo": 1, "same_item": 0}
    assert (result["photos"], result["unreadable"]) == (4 + LOOKALIKES, 0)
    assert (result["encoder"], result["exact"]) == (worker.encoder.spec.label, True)


def test_a_listing_is_told_by_the_photo_that_links_it(worker: WorkerHarness) -> None:
    photo = as_jpeg(picture(1, SIZE))
    shared = offer(worker, photo, seller="ann")
    other = offer(worker, jpeg(2, SIZE), photo)
    (cluster,) = find(worker)["clusters"]
    sha256 = standardise(photo).sha256
    assert cluster["listings"] == [
        {
            "listing_id": str(listing_id),
            "title": "A thing",
            "seller": seller,
            "status": "active",
            "photo": sha256,
            "similarity": 1.0,
        }
        for listing_id, seller in sorted([(shared, "ann"), (other, None)])
    ]
    assert cluster["sellers"] == 1


def test_a_mirrored_copy_is_a_copy(worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = picture(1, SIZE)
    both = {offer(worker, as_jpeg(photo)), offer(worker, as_jpeg(ImageOps.mirror(photo)))}
    # A network sees about the same in a mirror; a thumbnail does not.
    monkeypatch.setattr(find_module, "COPY_SIMILARITY", -1)
    assert told(find(worker)) == [("same_photo", both)]


def test_hashes_that_are_near_by_chance_make_no_copy(worker: WorkerHarness) -> None:
    offer(worker, jpeg(1, SIZE))
    offer(worker, jpeg(2, SIZE))
    with worker.database.write() as session:
        session.execute(update(Photo).values(phash=5))
    assert told(find(worker)) == []


def test_another_photo_of_an_item_is_told_among_lookalikes(worker: WorkerHarness) -> None:
    photo = picture(1, SIZE)
    both = {offer(worker, as_jpeg(photo)), offer(worker, as_jpeg(cut(photo)))}
    assert told(find(worker)) == []
    lookalikes(worker)
    result = find(worker)
    assert told(result) == [("same_item", both)]
    assert result["clusters_total"] == {"same_photo": 0, "same_item": 1}


def test_an_items_cluster_holds_its_copies_too(worker: WorkerHarness) -> None:
    photo = picture(1, SIZE)
    copies = {offer(worker, as_jpeg(photo)), offer(worker, as_jpeg(photo, 50))}
    other = offer(worker, as_jpeg(cut(photo)))
    lookalikes(worker)
    assert told(find(worker)) == [("same_photo", copies), ("same_item", copies | {other})]


def test_photos_of_one_listing_link_what_they_are_alike_to(worker: WorkerHarness) -> None:
    first, second = picture(1, SIZE), picture(2, SIZE)
    chain = {
        offer(worker, as_jpeg(first)),
        offer(worker, as_jpeg(first, 50), as_jpeg(second)),
        offer(worker, as_jpeg(second, 50)),
    }
    # A listing is no duplicate of itself.
    offer(worker, jpeg(3, SIZE), as_jpeg(picture(3, SIZE), 50))
    assert told(find(worker)) == [("same_photo", chain)]


def test_clusters_of_the_most_sellers_come_first(worker: WorkerHarness) -> None:
    def copies_of(seed: int, *sellers: str | None) -> set[UUID]:
        return {offer(worker, jpeg(seed, SIZE), seller=seller) for seller in sellers}

    one_seller = copies_of(1, "ann", "ann", "ann", None)
    nobody = copies_of(2, None, None)
    two_sellers = copies_of(3, "ann", "bob")
    result = find(worker)
    assert [listings for _, listings in told(result)] == [two_sellers, one_seller, nobody]
    assert [cluster["sellers"] for cluster in result["clusters"]] == [2, 1, 0]


def test_what_is_left_out_is_counted(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "MAX_CLUSTERS", 1)
    monkeypatch.setattr(clusters, "MAX_LISTINGS", 2)
    for seed, count in ((1, 2), (2, 4)):
        for _ in range(count):
            offer(worker, jpeg(seed, SIZE))
    result = find(worker)
    assert result["clusters_total"]["same_photo"] == 2
    (cluster,) = result["clusters"]
    assert (cluster["listings_total"], len(cluster["listings"])) == (4, 2)


def test_deleted_listings_are_nobodys_duplicates(worker: WorkerHarness) -> None:
    gone, kept = (offer(worker, jpeg(1, SIZE)) for _ in range(2))
    assert told(find(worker)) == [("same_photo", {gone, kept})]
    with worker.database.write() as session:
        delete_listing(session, gone, worker.now())
    assert told(find(worker)) == []


def test_an_index_finds_what_a_fresh_one_finds(worker: WorkerHarness) -> None:
    photo = picture(1, SIZE)
    offer(worker, as_jpeg(photo))
    offer(worker, as_jpeg(cut(photo)))
    lookalikes(worker)
    before = find(worker)
    built = worker.reindex()
    assert built.result
    after = find(worker)
    assert (before["generation"], after["generation"]) == (None, built.result["generation"])
    assert told(after) == told(before) != []


def test_a_photo_is_hashed_when_it_is_embedded(worker: WorkerHarness) -> None:
    offer(worker, jpeg(1, SIZE))
    with worker.database.read() as session:
        stored = session.scalars(select(Photo.phash)).one()
    assert stored == perceptual_hash(decode(standardise(jpeg(1, SIZE)).data))


def test_photos_embedded_before_are_hashed_first(worker: WorkerHarness) -> None:
    copies = {offer(worker, jpeg(1, SIZE), seller=seller) for seller in ("ann", "bob")}
    copies.add(offer(worker, as_jpeg(picture(1, SIZE), 40)))
    offer(worker, jpeg(2, SIZE))
    with worker.database.write() as session:
        session.execute(update(Photo).values(phash=None))
        unreadable = select(Photo.id).where(Photo.sha256 == standardise(jpeg(2, SIZE)).sha256)
        session.execute(
            update(Photo).where(Photo.id == unreadable.scalar_subquery()).values(sha256="0" * 64)
        )
    result = find(worker)
    assert told(result) == [("same_photo", copies)]
    assert result["unreadable"] == 1
    with worker.database.read() as session:
        assert session.scalars(select(Photo).where(Photo.phash.is_(None))).one().sha256 == "0" * 64


def test_blank_photos_are_compared_with_none(worker: WorkerHarness) -> None:
    offer(worker, grey())
    offer(worker, as_jpeg(Image.new("RGB", SIZE, "white")))
    assert told(find(worker)) == []


def test_an_empty_catalogue_has_no_duplicates(worker: WorkerHarness) -> None:
    result = find(worker)
    assert (result["photos"], result["clusters"]) == (0, [])


def test_a_cancelled_job_stops(worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_EVERY_S", 0)
    offer(worker, jpeg(1, SIZE))
    job_id = worker.accept(JobType.DUPLICATES, {})
    claim = worker.claim(job_id)
    with worker.database.write() as session:
        session.execute(update(Photo).values(phash=None))
        cancelling.cancel(session, job_id, worker.now())
    with pytest.raises(ClaimLost):
        run_duplicates(
            claim,
            database=worker.database,
            store=worker.runtime.store,
            open_index=worker.runtime.indexes.open,
            heartbeat=Heartbeat(worker.database, claim, LEASE, worker.now),
            clock=worker.now,
        )
    assert worker.job(job_id).result is None


def test_the_job_counts_what_it_has_done(worker: WorkerHarness) -> None:
    for seed in range(3):
        offer(worker, jpeg(seed, SIZE))
    job = worker.do(JobType.DUPLICATES, {})
    # Three photos are compared by their hashes, then by their vectors.
    assert (job.done, job.total, job.failed) == (6, 6, 0)
    assert QUEUE_OF[job.type] is Queue.INDEX


def test_a_million_equal_photos_are_not_a_million_pairs_each(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [as_jpeg(picture(1, SIZE), quality) for quality in range(60, 84)]
    all_of_them = {offer(worker, photo) for photo in photos}
    monkeypatch.setattr(find_module, "PAIRS_PER_BATCH", 8)
    compared = 0
    link = find_module._LinkSearch._link_where_near

    def counted(search: Any, pairs: Any) -> None:
        nonlocal compared
        compared += sum(not search.copies.joined(*pair) for pair in pairs.tolist())
        link(search, pairs)

    monkeypatch.setattr(find_module._LinkSearch, "_link_where_near", counted)
    found = find_duplicates(
        worker.database,
        worker.runtime.store,
        worker.runtime.indexes.open,
        lambda _step, _done, _total: None,
    )
    (cluster,) = found.clusters
    assert {member.offer.listing_id for member in cluster.members} == all_of_them
    assert compared < 2 * len(photos)
