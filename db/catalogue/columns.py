"""Reads listings as columns: all of them, or those that have changed.

Values are taken from the driver as they are, or as the database makes them, not by SQLAlchemy's
types: a million listings are read at the start of a search worker.
"""

from collections.abc import Collection, Iterator, Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    Select,
    String,
    Text,
    cast,
    func,
    select,
    type_coerce,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.statements import chunks, is_postgresql
from db.tables import Listing, ListingPhoto
from db.vectors.changes import last_listing_change, listing_changes_after
from models.columns.columns import Columns
from models.columns.segment import (
    Dictionaries,
    ListingBatch,
    merge,
    packed_ids,
    segment_of,
)
from models.domain.searches.attributes import Attributes
from models.domain.types import ListingStatus

ROWS_AT_ONCE = 20_000
CHANGES_PER_STEP = 2_000

_Statement = Select[*tuple[object, ...]]
_Rows = Sequence[Row[*tuple[object, ...]]]


def most_listings(session: Session) -> int:
    """How many listings there are at most."""
    return session.scalar(select(func.max(Listing.number))) or 0


def columns_of(session: Session) -> Columns:
    """The columns of all listings."""
    # First: what is committed while listings are read, is read once more as a change.
    last_change = last_listing_change(session)
    dictionaries = Dictionaries()
    segments = [segment_of(batch, dictionaries) for batch in _stored_listings(session)]
    if not segments:
        return Columns(last_change, dictionaries)
    ids, photos = _stored_photos(session)
    whole = merge(segments).with_photos(packed_ids(ids), photos)
    return Columns(last_change, dictionaries, (whole,))


def with_changes(session: Session, columns: Columns) -> Columns:
    """The columns with every change of listings that was committed since.

    Raises ChangesMissed where they are so old that changes since were removed.
    """
    while True:
        changes = listing_changes_after(session, columns.last_change, CHANGES_PER_STEP)
        if changes.last == columns.last_change:
            return columns
        numbers, batch = _listings_again(session, changes.listings)
        changed = np.concatenate([numbers, np.array(changes.gone, np.int64)])
        columns = columns.updated(changes.last, changed, batch)


def _stored_listings(session: Session) -> Iterator[ListingBatch]:
    """All listings that are not deleted, without their photos, in one statement."""
    statement = _listings(session).where(Listing.status != ListingStatus.DELETED)
    for rows in _streamed(session, statement):
        yield _batch(session, rows, np.empty((0, 2), np.int64))


def _stored_photos(session: Session) -> tuple[bytes, NDArray[np.int64]]:
    """Which listings show which photos: the ids of (n,) listings, 16 bytes each, and the photos."""
    statement = select(_id_of(session, ListingPhoto.listing_id), ListingPhoto.photo_id)
    ids: list[bytes] = []
    photos: list[NDArray[np.int64]] = []
    for rows in _streamed(session, statement):
        listing_ids, photo_ids = zip(*rows, strict=True)
        ids.append(_bytes_of(session, listing_ids))
        photos.append(np.array(photo_ids, np.int64))
    return b"".join(ids), np.concatenate([np.empty(0, np.int64), *photos])


def _listings_again(
    session: Session, listing_ids: Collection[UUID]
) -> tuple[NDArray[np.int64], ListingBatch]:
    """The numbers of these listings, and those of them that are not deleted."""
    rows = [
        row
        for chunk in chunks(listing_ids)
        for row in session.execute(_listings(session).where(Listing.id.in_(chunk)))
    ]
    there = [row for row in rows if row.status != ListingStatus.DELETED]
    photos = [
        (row.number, row.photo_id)
        for chunk in chunks(listing_ids)
        for row in session.execute(
            select(Listing.number, ListingPhoto.photo_id)
            .join(ListingPhoto, ListingPhoto.listing_id == Listing.id)
            .where(Listing.id.in_(chunk), Listing.status != ListingStatus.DELETED)
        )
    ]
    known = {row.number for row in there}
    # On PostgreSQL each statement sees what was committed before it.
    pairs = [pair for pair in photos if pair[0] in known]
    numbers = np.array([row.number for row in rows], np.int64)
    return numbers, _batch(session, there, np.array(pairs, np.int64).reshape(-1, 2))


def _listings(session: Session) -> _Statement:
    hundredths = cast(func.round(type_coerce(Listing.price, BigInteger) * 100), BigInteger)
    return select(
        Listing.number,
        _id_of(session, Listing.id),
        type_coerce(Listing.status, String).label("status"),
        func.coalesce(Listing.category_id, 0),
        func.coalesce(hundredths, -1),
        func.coalesce(Listing.currency, ""),
        Listing.latitude,
        Listing.longitude,
        func.coalesce(Listing.seller, ""),
        _moment(session),
        cast(Listing.attributes, Text)
        if is_postgresql(session)
        else type_coerce(Listing.attributes, String),
    )


def _id_of(session: Session, column: InstrumentedAttribute[UUID]) -> ColumnElement[object]:
    return func.uuid_send(column) if is_postgresql(session) else type_coerce(column, String)


def _moment(session: Session) -> ColumnElement[object]:
    if is_postgresql(session):
        return cast(func.extract("epoch", Listing.created_at) * 1_000_000, BigInteger)
    return type_coerce(Listing.created_at, String)


def _streamed(session: Session, statement: _Statement) -> Iterator[_Rows]:
    # By the connection: a session makes each row once more.
    result = session.connection().execute(
        statement, execution_options={"stream_results": True, "yield_per": ROWS_AT_ONCE}
    )
    yield from result.partitions()


def _bytes_of(session: Session, ids: Sequence[bytes] | Sequence[str]) -> bytes:
    if is_postgresql(session):
        return b"".join(map(bytes, ids))  # type: ignore[arg-type] # the driver gives bytes
    return bytes.fromhex("".join(map(str, ids)))


def _batch(session: Session, rows: _Rows, photos: NDArray[np.int64]) -> ListingBatch:
    columns = list(zip(*rows, strict=True)) or [()] * 11
    (
        numbers,
        ids,
        statuses,
        categories,
        prices,
        currencies,
        latitudes,
        longitudes,
        sellers,
        created_at,
        attributes,
    ) = columns
    return ListingBatch(
        numbers,
        _bytes_of(session, ids),
        statuses,
        categories,
        prices,
        currencies,
        latitudes,
        longitudes,
        sellers,
        np.array(created_at, np.int64)
        if is_postgresql(session)
        else np.array(created_at, "datetime64[us]").astype(np.int64),
        _parsed(attributes),
        photos,
    )


def _parsed(attributes: Sequence[str]) -> list[Attributes]:
    # One document is parsed faster than many.
    parsed: list[Attributes] = from_json(f"[{','.join(attributes)}]")
    return parsed
