"""Bulk statements must do the same on both databases, few rows or many."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.session import Database
from db.statements import COPY_FROM_ROWS, insert_missing, insert_or_update, insert_rows
from db.tables import Listing, ListingPhoto, Photo
from models.domain.types import ListingStatus

NOW = datetime(2030, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC)
SIZES = pytest.mark.parametrize("size", [3, COPY_FROM_ROWS + 3])

# Whatever COPY's text format treats as special.
TITLE = 'Tab\there, \\N, \\., "quoted", £5 ☕\nnext line\r'


def row(number: int, title: str = TITLE) -> dict[str, object]:
    return {
        "id": UUID(int=number),
        "title": title,
        "description": "",
        "price": Decimal("1234567890.12") if number % 2 else None,
        "price_suspect": number % 2 == 1,
        "latitude": 0.1 + 0.2,
        "status": ListingStatus.DELETED,
        "created_at": NOW,
        "updated_at": NOW,
    }


def stored(session: Session) -> list[dict[str, object]]:
    return [
        {name: getattr(listing, name) for name in row(0)}
        for listing in session.scalars(select(Listing).order_by(Listing.id))
    ]


@SIZES
def test_rows_come_back_as_they_were_given(any_database: Database, size: int) -> None:
    rows = [row(number) for number in range(size)]
    with any_database.write() as session:
        insert_or_update(session, Listing, rows, key=["id"], updating=["title"])
    with any_database.read() as session:
        assert stored(session) == rows


@SIZES
def test_only_the_named_columns_of_rows_that_were_there_are_updated(
    any_database: Database, size: int
) -> None:
    with any_database.write() as session:
        insert_rows(session, Listing, [row(1)])
        changed = [row(number, "New") | {"price_suspect": False} for number in range(size)]
        insert_or_update(session, Listing, changed, key=["id"], updating=["title"])
    with any_database.read() as session:
        listings = stored(session)
    assert {listing["title"] for listing in listings} == {"New"}
    assert [listing["price_suspect"] for listing in listings] == [
        number == 1 for number in range(size)
    ]


@SIZES
def test_rows_that_are_there_can_be_left(any_database: Database, size: int) -> None:
    with any_database.write() as session:
        insert_rows(session, Listing, [row(1, "Old")])
        insert_missing(session, Listing, [row(number) for number in range(size)], key=["id"])
    with any_database.read() as session:
        titles = [listing["title"] for listing in stored(session)]
    assert titles == [TITLE, "Old", *[TITLE] * (size - 2)]


@SIZES
def test_rows_without_a_key_of_their_own_get_one(any_database: Database, size: int) -> None:
    photos = [
        {"sha256": f"{number:064x}", "width": 1, "height": 2, "created_at": NOW}
        for number in range(size)
    ]
    with any_database.write() as session:
        insert_rows(session, Listing, [row(1)])
        insert_missing(session, Photo, photos, key=["sha256"])
        insert_missing(session, Photo, photos, key=["sha256"])
        ids = session.scalars(select(Photo.id).order_by(Photo.sha256)).all()
        shown = [
            {"listing_id": UUID(int=1), "photo_id": photo_id, "position": position}
            for position, photo_id in enumerate(ids)
        ]
        insert_rows(session, ListingPhoto, shown)
    with any_database.read() as session:
        positions = session.scalars(select(ListingPhoto.position)).all()
    assert sorted(positions) == list(range(size))
