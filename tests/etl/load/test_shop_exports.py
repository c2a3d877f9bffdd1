"""Exports of shops, taken in with no option given."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from db.catalogue.listings import ListingView, Written, recent_listings
from db.session import Database
from db.store.photo_urls import PhotoUrls
from db.tables import Photo
from etl.clean.rejects import Consequence, Tally
from etl.load.sources import IntakeContext
from models.domain.types import ListingStatus
from tests.support.pictures import jpeg
from tests.support.seeding import RunSeed
from tests.support.shops import EXPORTS, LAMP_TEXT, PHOTOS, Export, table, write_photos
from tests.support.web import file_server

Clock = Callable[[], datetime]

IDS = {
    "Shopify": ("oak-lamp", "chair"),
    "WooCommerce": ("71", "74"),
}
PHOTO_OF = {"lamp-1.jpg": 1, "lamp-2.jpg": 2, "chair.jpg": 3}


def listings(database: Database) -> dict[str, ListingView]:
    """All listings, by title."""
    with database.read() as session:
        return {view.listing.title: view for view in recent_listings(session, 100, None)}


@pytest.fixture(params=EXPORTS)
def export(request: pytest.FixtureRequest) -> tuple[str, str, Export]:
    """The name of a shop's software, of its export's file, and what writes it."""
    name, written = EXPORTS[request.param]
    return request.param, name, written


def test_an_export_is_taken_in_as_it_is(
    tmp_path: Path, database: Database, run_seed: RunSeed, export: tuple[str, str, Export]
) -> None:
    shop, name, written = export
    write_photos(tmp_path / "shop" / "images")
    (tmp_path / "shop" / name).write_text(written("images/"), encoding="utf-8", newline="")

    seeded = run_seed(tmp_path / "shop", database)

    found = listings(database)
    assert set(found) == {"Oak lamp", "Chair"}
    lamp, chair = found["Oak lamp"], found["Chair"]
    assert lamp.listing.description.split() == LAMP_TEXT.split()
    assert lamp.category == "Home & Garden / Lighting"
    assert (lamp.listing.price, lamp.listing.currency) == (Decimal("1250.00"), "GBP")
    assert (chair.listing.price, chair.listing.currency) == (Decimal("30.00"), "GBP")
    sold = ListingStatus.ACTIVE if shop == "Shopify" else ListingStatus.SOLD
    assert (lamp.listing.status, chair.listing.status) == (ListingStatus.ACTIVE, sold)
    ids = (lamp.listing.external_id, chair.listing.external_id)
    assert ids == IDS.get(shop, ("LAMP", "CHAIR"))
    # In the order that the shop states.
    first, second = lamp.photos
    assert {first, second}.isdisjoint(chair.photos)
    with database.read() as session:
        assert len(session.scalars(select(Photo.id)).all()) == 3
    assert seeded.report.photos == Tally(read=3, accepted=3, rejected=0)
    assert {reject.consequence for reject in seeded.rejects} <= {Consequence.NOT_OFFERED}

    again = run_seed(tmp_path / "shop", database)
    assert again.loaded.listings == Written(unchanged=2)
    assert listings(database)["Oak lamp"].photos == [first, second]


def test_the_order_of_photos_is_the_shops(
    tmp_path: Path, database: Database, run_seed: RunSeed, export: tuple[str, str, Export]
) -> None:
    _, name, written = export
    folder = tmp_path / "shop"
    write_photos(folder)
    (folder / "lamp-1.jpg").write_bytes(jpeg(1, (80, 40)))
    (folder / name).write_text(written("/"), encoding="utf-8", newline="")
    # The file itself, with its photos beside it.
    run_seed(folder / name, database)
    with database.read() as session:
        widths = {row.sha256: row.width for row in session.scalars(select(Photo))}
    assert [widths[sha256] for sha256 in listings(database)["Oak lamp"].photos] == [80, 64]


def test_photos_at_urls_are_fetched_once(
    tmp_path: Path,
    database: Database,
    run_seed: RunSeed,
    intake_context: IntakeContext,
    export: tuple[str, str, Export],
) -> None:
    _, name, written = export
    write_photos(tmp_path / "web")
    (tmp_path / "web" / PHOTOS[2]).write_bytes(b"no photo")
    table_file = tmp_path / name
    with (
        file_server(tmp_path / "web") as server,
        closing(PhotoUrls(["127.0.0.1"])) as urls,
    ):
        text = written(f"http://127.0.0.1:{server.server_port}/")
        table_file.write_text(text, encoding="utf-8", newline="")
        place = replace(intake_context, urls=urls)
        first = run_seed(table_file, database, place=place)
        assert first.report.photos == Tally(read=3, accepted=2, rejected=1)
        (reject,) = [one for one in first.rejects if one.field == "photo"]
        assert reject.file == f"{name} (photos)"
        assert reject.id.endswith("/chair.jpg")
        assert len(listings(database)["Chair"].photos) == 0
    # Nobody serves them any more: what is known is not fetched again.
    second = run_seed(table_file, database, place=place)
    assert second.report.photos == Tally(read=3, accepted=2, rejected=1)
    assert second.loaded.listings == Written(unchanged=2)
    third = run_seed(table_file, database, place=replace(place, refetch=True))
    assert third.report.photos == Tally(read=3, accepted=0, rejected=3)
    # They may be there again another time.
    assert len(listings(database)["Oak lamp"].photos) == 2


def test_without_leave_no_url_is_fetched_and_no_listing_lost(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    name, written = EXPORTS["Google Merchant, TSV"]
    (tmp_path / name).write_text(written("https://shop.example/"), encoding="utf-8", newline="")
    seeded = run_seed(tmp_path / name, database)
    assert seeded.report.products == Tally(read=2, accepted=2, rejected=0)
    assert seeded.report.photos == Tally(read=3, accepted=0, rejected=3)
    assert {"MARKETLENS_PHOTO_URLS" in reject.reason for reject in seeded.rejects} == {True}


def test_a_product_that_is_not_offered_any_more_is_pruned(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    columns = ("Handle", "Title", "Status", "Variant Price")
    rows = [
        {"Handle": f"p{number}", "Title": f"P{number}", "Status": "active"} for number in range(4)
    ]
    file = tmp_path / "shop.csv"
    file.write_text(table(columns, rows))
    run_seed(file, database)
    rows[0]["Status"] = "archived"
    rows[1]["Title"] = "x" * 501
    file.write_text(table(columns, rows))
    seeded = run_seed(file, database, pruning=True)
    assert seeded.loaded.pruned == 1
    assert {one.id: one.consequence for one in seeded.rejects} == {
        "p0": Consequence.NOT_OFFERED,
        "p1": Consequence.REJECTED,
    }


def test_two_feeds_may_call_their_listings_alike(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    file = tmp_path / "shop.csv"
    file.write_text(table(("sku", "name"), [{"sku": "1", "name": "One"}]))
    run_seed(file, database, feed="here")
    assert run_seed(file, database, feed="there").loaded.listings == Written(created=1)
    with database.read() as session:
        both = recent_listings(session, 10, None, external_id="1")
        (there,) = recent_listings(session, 10, None, external_id="1", feed="there")
        assert recent_listings(session, 10, None, external_id="2") == []
    assert len({view.listing.id for view in both}) == 2
    assert there.listing.feed == "there"
