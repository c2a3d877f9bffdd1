"""Each photo is embedded by one job, whoever asks for it and how often."""

from uuid import UUID, uuid4

from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, upsert_listings
from db.session import Database
from db.tables import Job
from tests.conftest import Clock
from workers.queue.embed_jobs import EmbedJobs
from workers.queue.messages import PHOTOS_PER_JOB


def ask(database: Database, embed_jobs: EmbedJobs, photo_ids: list[int]) -> list[Job]:
    with database.write() as session:
        accepted = embed_jobs.accept(session, photo_ids)
    embed_jobs.publish(accepted)
    return accepted


def test_what_was_asked_for_is_not_queued_again(any_database: Database, clock: Clock) -> None:
    photos = [PhotoData(f"{number:064x}", 3, 4) for number in range(PHOTOS_PER_JOB + 3)]
    listing = ListingData(UUID(int=1), "A thing")
    with any_database.write() as session:
        upsert_listings(session, [listing], clock())
        first, second, *others = ensure_photos(session, photos, clock()).values()
        set_photos(session, {listing.id: [first, second, *others]})
    embed_jobs = EmbedJobs(any_database, None, clock=clock, new_id=uuid4)
    embed_jobs.start()

    asked = [ask(any_database, embed_jobs, ids) for ids in ([first], [first, second, second])]
    assert [[job.payload["photo_ids"] for job in jobs] for jobs in asked] == [[[first]], [[second]]]
    embed_jobs.queue_missing()
    embed_jobs.queue_missing()

    assert embed_jobs.queued == len(photos)
    assert len(embed_jobs.open) == 4
    later = EmbedJobs(any_database, None, clock=clock, new_id=uuid4)
    later.start()
    later.queue_missing()
    assert (later.queued, set(later.open)) == (0, set(embed_jobs.open))
    assert ask(any_database, later, [first, *others]) == []
