from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import select

import etl.load.pipeline
from db.catalogue.listings import (
    Written,
    get_listing,
    views_of,
)
from db.catalogue.places import Coordinates
from db.jobs import cancelling
from db.jobs.embed import PHOTOS_PER_JOB
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Base, Category, Job, Photo
from db.vectors.embeddings import photos_in_open_jobs
from db.vectors.encoders import (
    activate_encoder,
    activate_initial_encoder,
    follow_encoder,
    register_encoder,
)
from etl.clean.feed_tables import IMAGES, PRODUCTS
from etl.clean.rejects import Consequence, Tally
from etl.load.pipeline import Stage
from etl.load.sources import IntakeContext
from models.domain.errors import InvalidFeed, NotFound
from models.domain.job_payloads import EmbedPayload
from models.domain.types import EncoderSpec, JobStatus
from tests.support.embedding import embed_all
from tests.support.feeds import (
    IMAGE_HEADER,
    PRODUCT_HEADER,
    image_row,
    listing_id,
    photo_id,
    product_row,
    simple_feed,
    to_csv,
    write_feed,
)
from tests.support.payloads import payload_as
from tests.support.pictures import jpeg
from tests.support.redis import broker_at
from tests.support.seeding import RunSeed
from workers.queue.publisher import JobPublisher

Clock = Callable[[], datetime]


def contents(database: Database, *without: str) -> dict[str, list[Any]]:
    """Every row of every table but those left out."""
    with database.read() as session:
        return {
            table.name: sorted(map(repr, session.execute(select(table)).all()))
            for table in Base.metadata.sorted_tables
            if table.name not in without
        }


def test_a_feed_becomes_listings_photos_and_embed_jobs(
    tmp_path: Path, any_database: Database, store: PhotoStore, run_seed: RunSeed
) -> None:
    seeded = run_seed(simple_feed(tmp_path / "feed", 20), any_database)

    assert seeded.report.products == Tally(read=20, accepted=20, rejected=0)
    assert seeded.report.photos == Tally(read=40, accepted=40, rejected=0)
    assert (seeded.report.categories.root, seeded.report.categories.sub) == (1, 1)
    assert seeded.loaded.listings.created == 20
    with any_database.read() as session:
        view = get_listing(session, listing_id(1))
        assert view.listing.title == "Lamp 1"
        assert view.listing.description == "Lamp 1.\nWorks well."
        assert (view.listing.price, view.listing.currency) == (Decimal("5.00"), "GBP")
        assert view.listing.location == "Leeds, West Yorkshire"
        assert view.category == "Home & Garden / Lighting"
        assert len([store.get(sha256) for sha256 in view.photos]) == 2

        accepted = session.scalars(select(Job)).all()
        assert {job.id for job in accepted} == set(seeded.jobs)
        assert all(job.status is JobStatus.QUEUED for job in accepted)
        assert all(job.total == len(payload_as(job, EmbedPayload).photo_ids) for job in accepted)
        assert max(job.total for job in accepted) <= PHOTOS_PER_JOB
        queued = [item for job in accepted for item in payload_as(job, EmbedPayload).photo_ids]
        assert sorted(queued) == sorted(session.scalars(select(Photo.id)))
        assert seeded.loaded.queued == len(queued) == 40


def test_every_fault_is_reported_and_nothing_else_is_lost(
    tmp_path: Path, database: Database, run_seed: RunSeed, intake_context: IntakeContext
) -> None:
    folder = write_feed(
        tmp_path / "feed",
        [
            product_row(1),
            product_row(2, price="a lot"),
            product_row(3, id="three"),
            product_row(4, product_name=" | in Hull | Gumtree"),
            product_row(1, product_name="Again"),
            product_row(5)[:-1],
            product_row(6, price="N/A", category="", location=""),
        ],
        [
            image_row(1, 1),
            image_row(2, 1),
            image_row(3, 1),
            image_row(4, 1),
            image_row(5, 2),
            image_row(1, 1),
            ["8", "six", str(listing_id(1))],
            image_row(6, 1)[:2],
            image_row(7, 6),
        ],
        {1: jpeg(1), 2: b"no photo", 4: jpeg(4) + bytes(10_000), 7: jpeg(7)[:-2000]},
    )
    place = replace(intake_context, max_photo_bytes=len(jpeg(4)) + 5_000)
    seeded = run_seed(folder, database, place=place)

    found = [(reject.file, reject.row, reject.field) for reject in seeded.rejects]
    assert sorted(found) == [
        (IMAGES.name, 3, "photo"),
        (IMAGES.name, 4, "photo"),
        (IMAGES.name, 5, "photo"),
        (IMAGES.name, 6, "photo"),
        (IMAGES.name, 7, "id"),
        (IMAGES.name, 8, "id"),
        (IMAGES.name, 9, ""),
        (IMAGES.name, 10, "photo"),
        (PRODUCTS.name, 3, "price"),
        (PRODUCTS.name, 4, "id"),
        (PRODUCTS.name, 5, "product_name"),
        (PRODUCTS.name, 6, "id"),
        (PRODUCTS.name, 7, ""),
    ]
    # A price that can't be read costs no listing.
    consequences = {reject.consequence for reject in seeded.rejects if reject.field == "price"}
    assert consequences == {Consequence.LEFT_OUT}
    assert seeded.report.left_out == {(PRODUCTS.name, "price", "is not a price"): 1}
    assert seeded.report.products == Tally(read=7, accepted=3, rejected=4)
    assert seeded.report.photos == Tally(read=9, accepted=1, rejected=8)
    with database.read() as session:
        views = views_of(session, [listing_id(number) for number in range(1, 8)])
    assert {view.listing.title: len(view.photos) for view in views.values()} == {
        "Lamp 1": 1,
        "Lamp 2": 0,
        "Lamp 6": 0,
    }
    bare = views[listing_id(6)]
    assert (bare.category, bare.listing.price, bare.listing.location) == (None, None, None)


def test_photos_keep_their_listing_and_their_order(
    tmp_path: Path, database: Database, run_seed: RunSeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etl.load.pipeline, "LISTINGS_PER_BATCH", 1)
    sizes = {3: (64, 30), 4: (64, 40), 1: (64, 10), 2: (64, 20)}
    folder = write_feed(
        tmp_path / "feed",
        [product_row(3), product_row(2), product_row(1)],
        [image_row(number, 1 + number % 2) for number in sizes],
        {number: jpeg(number, size) for number, size in sizes.items()},
    )
    run_seed(folder, database)
    with database.read() as session:
        rows = session.execute(select(Photo.sha256, Photo.height))
        heights = {row.sha256: row.height for row in rows}
        shown = {
            number: [heights[sha256] for sha256 in get_listing(session, listing_id(number)).photos]
            for number in (1, 2, 3)
        }
    assert shown == {1: [40, 20], 2: [30, 10], 3: []}


def test_categories_are_numbered_as_they_appear(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    paths = ["Toys / Dolls", "Art", "Toys / Bricks", "Zoo / Fish", "Art / Oil", "Books", "Cars"]
    products = [product_row(number, category=path) for number, path in enumerate(paths)]
    seeded = run_seed(write_feed(tmp_path / "feed", products, [], {}), database)
    with database.read() as session:
        numbered = session.scalars(select(Category.path).order_by(Category.id)).all()
    first = ["Toys", "Toys / Dolls", "Art", "Toys / Bricks"]
    assert numbered == [*first, "Zoo", "Zoo / Fish", "Art / Oil", "Books", "Cars"]
    assert (seeded.report.categories.root, seeded.report.categories.sub) == (5, 4)


def test_one_photo_may_serve_several_listings_and_is_embedded_once(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    folder = write_feed(
        tmp_path / "feed",
        [product_row(1), product_row(2)],
        [image_row(1, 1), image_row(2, 1), image_row(3, 2)],
        {1: jpeg(1), 2: jpeg(1), 3: jpeg(1)},
    )
    seeded = run_seed(folder, database)
    assert seeded.report.photos == Tally(read=3, accepted=3, rejected=0)
    assert seeded.loaded.queued == 1
    with database.read() as session:
        assert len(get_listing(session, listing_id(1)).photos) == 1
        assert len(get_listing(session, listing_id(2)).photos) == 1


def test_a_second_run_writes_nothing_and_still_knows_the_open_jobs(
    tmp_path: Path, any_database: Database, run_seed: RunSeed
) -> None:
    folder = simple_feed(tmp_path / "feed", 5)
    first = run_seed(folder, any_database)
    before = contents(any_database)

    second = run_seed(folder, any_database)

    assert contents(any_database) == before
    assert (second.loaded.listings.unchanged, second.loaded.queued) == (5, 0)
    assert set(second.jobs) == set(first.jobs)


def test_what_is_embedded_is_not_queued_again(
    tmp_path: Path, database: Database, run_seed: RunSeed, clock: Clock, encoder: EncoderSpec
) -> None:
    folder = simple_feed(tmp_path / "feed", 3)
    run_seed(folder, database)
    embed_all(database, encoder, clock())
    before = contents(database)
    seeded = run_seed(folder, database)
    assert (seeded.loaded.queued, seeded.jobs) == (0, [])
    assert contents(database) == before


def test_a_changed_feed_changes_only_what_it_changes(
    tmp_path: Path, database: Database, run_seed: RunSeed, clock: Clock, encoder: EncoderSpec
) -> None:
    folder = simple_feed(tmp_path / "feed", 3)
    run_seed(folder, database)
    embed_all(database, encoder, clock())
    changed = [product_row(1), product_row(2, price="£6.00"), product_row(3), product_row(4)]
    (folder / PRODUCTS.name).write_bytes(to_csv([PRODUCT_HEADER, *changed]))
    (folder / "images" / f"{photo_id(1)}.jpg").write_bytes(jpeg(99))

    seeded = run_seed(folder, database)

    written = seeded.loaded.listings
    # One has another price, one another photo.
    assert written == Written(created=1, updated=2, unchanged=1)
    assert seeded.loaded.queued == 1


def test_what_an_encoder_lacks_is_queued_once_it_has_been_active(
    tmp_path: Path, database: Database, run_seed: RunSeed, clock: Clock, encoder: EncoderSpec
) -> None:
    feed = simple_feed(tmp_path / "one", 2)
    run_seed(feed, database)
    embed_all(database, encoder, clock())
    elsewhere = write_feed(tmp_path / "two", [product_row(9)], [image_row(9, 9)], {9: jpeg(9)})
    with database.write() as session:
        other = EncoderSpec(name="resnet50", dimension=8, fingerprint="b" * 64)
        other_id = register_encoder(session, other, clock())
        follow_encoder(session, other_id)
    # Until then it is being migrated to, and what it lacks is the migration's.
    assert run_seed(feed, database).loaded.queued == 0
    with database.write() as session:
        activate_encoder(session, other_id, clock(), force=True)

    seeded = run_seed(elsewhere, database, feed="elsewhere")

    assert seeded.loaded.queued == 5
    with database.read() as session:
        assert len(photos_in_open_jobs(session)) == 5


def test_photos_of_a_failed_job_are_queued_again(
    tmp_path: Path, database: Database, run_seed: RunSeed, clock: Clock
) -> None:
    folder = simple_feed(tmp_path / "feed", 2)
    (job_id,) = run_seed(folder, database).jobs
    with database.write() as session:
        cancelling.cancel(session, job_id, clock())
    again = run_seed(folder, database)
    assert again.loaded.queued == 4
    assert set(again.jobs).isdisjoint({job_id})


@pytest.mark.parametrize("killed_at", [1, 7, 24, 30])
def test_a_killed_run_is_finished_by_the_next(
    tmp_path: Path,
    sqlite_url: str,
    run_seed: RunSeed,
    monkeypatch: pytest.MonkeyPatch,
    killed_at: int,
) -> None:
    monkeypatch.setattr(etl.load.pipeline, "LISTINGS_PER_BATCH", 4)
    folder = simple_feed(tmp_path / "feed", 15)
    clean_file = tmp_path / "clean.db"
    clean_file.write_bytes((tmp_path / "marketlens.db").read_bytes())
    clean, killed = Database(f"sqlite:///{clean_file}"), Database(sqlite_url)

    class Killed(BaseException):
        pass

    def kill(stage: Stage, done: int, total: int) -> None:
        del total
        if stage is Stage.PHOTOS and done == killed_at:
            raise Killed

    run_seed(folder, clean)
    with pytest.raises(Killed):
        run_seed(folder, killed, on_progress=kill)
    seeded = run_seed(folder, killed)

    assert contents(killed, "jobs") == contents(clean, "jobs")
    with killed.read() as session:
        accepted = session.scalars(select(Job)).all()
        queued = [item for job in accepted for item in payload_as(job, EmbedPayload).photo_ids]
        assert sorted(queued) == sorted(session.scalars(select(Photo.id)))
        assert set(seeded.jobs) == set(session.scalars(select(Job.id)))
    clean.close()
    killed.close()


def test_no_transaction_is_open_while_photos_are_decoded(
    tmp_path: Path,
    database: Database,
    run_seed: RunSeed,
    clock: Clock,
    encoder: EncoderSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(etl.load.pipeline, "LISTINGS_PER_BATCH", 2)

    def write(stage: Stage, done: int, total: int) -> None:
        del stage, done, total
        with database.write() as session:
            register_encoder(session, encoder, clock())

    run_seed(simple_feed(tmp_path / "feed", 6), database, on_progress=write)


def test_a_refused_feed_leaves_the_database_as_it_was(
    tmp_path: Path, database: Database, run_seed: RunSeed, clock: Clock, encoder: EncoderSpec
) -> None:
    with database.write() as session:
        activate_initial_encoder(session, encoder, clock())
    before = contents(database)
    folder = simple_feed(tmp_path / "feed", 1)
    (folder / IMAGES.name).write_bytes(to_csv([IMAGE_HEADER[:2]]))
    with pytest.raises(InvalidFeed, match=r"Images.csv lacks the columns product_id"):
        run_seed(folder, database)
    assert contents(database) == before
    with database.read() as session, pytest.raises(NotFound):
        get_listing(session, listing_id(1))


def test_workers_are_told_of_the_jobs(
    tmp_path: Path, database: Database, run_seed: RunSeed, redis_url: str
) -> None:
    place = broker_at(redis_url)
    publisher = JobPublisher(place)
    seeded = run_seed(simple_feed(tmp_path / "feed", 20), database, publisher=publisher)
    publisher.close()
    broker = redis.Redis(unix_socket_path=redis_url.removeprefix("redis+socket://"))
    messages = str(broker.lrange(f"{place.prefix}embed", 0, -1))
    broker.close()
    assert len(seeded.jobs) == 2
    assert all(str(job_id) in messages for job_id in seeded.jobs)


def test_a_broker_that_is_down_is_asked_once_and_costs_nothing(
    tmp_path: Path,
    database: Database,
    run_seed: RunSeed,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(etl.load.pipeline, "LISTINGS_PER_BATCH", 1)
    seeded = run_seed(simple_feed(tmp_path / "feed", 4), database)
    assert len(seeded.jobs) == 4
    assert len([line for line in caplog.messages if "broker unreachable" in line]) == 1


def test_a_feed_without_its_photo_folder_leaves_photos_as_they_are(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    folder = simple_feed(tmp_path / "feed", 2)
    run_seed(folder, database)
    (folder / "images").rename(tmp_path / "elsewhere")
    changed = [product_row(1, price="£6.00"), product_row(2)]
    (folder / PRODUCTS.name).write_bytes(to_csv([PRODUCT_HEADER, *changed]))

    seeded = run_seed(folder, database)

    assert seeded.report.photos == Tally(read=4, accepted=0, rejected=4)
    assert seeded.loaded.listings.updated == 1
    assert any("no folder images" in note for note in seeded.report.notes)
    with database.read() as session:
        assert len(get_listing(session, listing_id(1)).photos) == 2


def test_places_are_located_where_the_feed_does_not_say(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    asked: list[str] = []

    def locate(names: Collection[str]) -> dict[str, Coordinates | None]:
        asked.extend(names)
        return {name: Coordinates(53.8, -1.5) if "Leeds" in name else None for name in names}

    products = [product_row(1), product_row(2, location="Nowhere"), product_row(3, location="")]
    run_seed(write_feed(tmp_path / "feed", products, [], {}), database, locate=locate)

    assert sorted(asked) == ["Leeds, West Yorkshire", "Nowhere"]
    with database.read() as session:
        rows = [get_listing(session, listing_id(number)).listing for number in (1, 2, 3)]
    assert [(row.latitude, row.longitude) for row in rows] == [
        (53.8, -1.5),
        (None,) * 2,
        (None,) * 2,
    ]


def test_columns_that_are_ignored_are_told(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    folder = simple_feed(tmp_path / "feed", 1)
    header, row = (*PRODUCT_HEADER, "url", "note"), [*product_row(1), "there", "x"]
    (folder / PRODUCTS.name).write_bytes(to_csv([header, row]))
    seeded = run_seed(folder, database)
    assert seeded.report.notes == ["Products.csv: the columns url, note are ignored."]
    assert seeded.report.products == Tally(read=1, accepted=1, rejected=0)


def shown(database: Database, number: int) -> list[str]:
    """The photos of a listing."""
    with database.read() as session:
        return get_listing(session, listing_id(number)).photos


@pytest.mark.parametrize("fault", ["missing", "broken"])
def test_a_listing_keeps_its_photos_while_one_of_them_can_not_be_used(
    tmp_path: Path, database: Database, run_seed: RunSeed, fault: str
) -> None:
    folder = simple_feed(tmp_path / "feed", 2)
    run_seed(folder, database)
    before = [shown(database, number) for number in (1, 2)]
    photo = folder / "images" / f"{photo_id(1)}.jpg"
    photo.unlink()
    if fault == "broken":
        photo.write_bytes(b"no photo")
    second = run_seed(folder, database)
    assert second.report.photos == Tally(read=4, accepted=3, rejected=1)
    # Those that can be used come first.
    assert [shown(database, number) for number in (1, 2)] == [before[0][::-1], before[1]]
    third = run_seed(folder, database)
    assert third.loaded.listings == Written(unchanged=2)


def test_a_photo_that_the_feed_lists_no_more_is_taken_off_its_listing(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    folder = simple_feed(tmp_path / "feed", 3)
    run_seed(folder, database)
    images = [image_row(number, (number + 1) // 2) for number in (1, 3, 4, 5)]
    (folder / IMAGES.name).write_bytes(to_csv([IMAGE_HEADER, *images]))
    assert run_seed(folder, database).loaded.listings == Written(updated=2, unchanged=1)
    assert [len(shown(database, number)) for number in (1, 2, 3)] == [1, 2, 1]


def test_a_table_of_images_that_was_cut_short_takes_no_photos_away(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    folder = simple_feed(tmp_path / "feed", 4)
    run_seed(folder, database)
    (folder / IMAGES.name).write_bytes(to_csv([IMAGE_HEADER, image_row(1, 1)]))
    loaded = run_seed(folder, database).loaded
    assert "lists 1 images, its listings have 8 photos" in loaded.problems[0]
    assert loaded.listings == Written(unchanged=4)
    assert [len(shown(database, number)) for number in (1, 2, 3, 4)] == [2] * 4
    assert run_seed(folder, database, force=True).loaded.listings == Written(updated=4)
    assert [len(shown(database, number)) for number in (1, 2, 3, 4)] == [1, 0, 0, 0]
