"""Which listings pass a filter, and which photos they show. Queried for each search.

The index holds no attributes of listings, so that a new price or a sale counts from the next search
on.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from math import cos, radians
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, Float, Select, and_, bindparam, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.statements import chunks, is_postgresql
from db.tables import Category, Listing, ListingPhoto
from models.domain.filters import ListingFilter, Near
from models.domain.geo import box_around, haversine_of
from models.domain.text import CATEGORY_SEPARATOR

ACTIVE = ListingFilter()

TINY_DEGREES = 1e-12
"""Less than a thousandth of a millimetre."""

FILTERS_AT_ONCE: Final = 100
"""In one statement."""


def photos_passing(session: Session, wanted: ListingFilter, limit: int) -> list[int] | None:
    """The photos shown by listings that pass, in order of id; None when there are over `limit`.

    A photo counts once for each listing that shows it. At most `limit` + 1 rows are read.
    """
    shown = session.scalars(
        select(ListingPhoto.photo_id)
        .join(Listing, Listing.id == ListingPhoto.listing_id)
        .where(*_conditions(session, wanted))
        # Neither DISTINCT nor ORDER BY: both would read all that pass first.
        .limit(limit + 1)
    ).all()
    return None if len(shown) > limit else sorted(set(shown))


def listings_showing(
    session: Session, photo_ids: Collection[int], wanted: ListingFilter = ACTIVE
) -> dict[int, list[UUID]]:
    """The listings that pass and show each photo, in order of id."""
    statement = _SHOWING if wanted == ACTIVE else _showing(_conditions(session, wanted))
    found: dict[int, list[UUID]] = {}
    for chunk in chunks(photo_ids):
        for photo_id, listing_id in session.execute(statement, {"ids": chunk}):
            if listing_id is not None:
                found.setdefault(photo_id, []).append(listing_id)
    return found


def listings_passing(
    session: Session, filters: Sequence[ListingFilter], listing_ids: Collection[UUID]
) -> list[set[UUID]]:
    """Those of the listings that pass, for each of the filters."""
    passing: list[set[UUID]] = [set() for _ in filters]
    for some in chunks(enumerate(filters), FILTERS_AT_ONCE):
        conditions = [and_(*_conditions(session, wanted)) for _, wanted in some]
        for chunk in chunks(listing_ids):
            rows = session.execute(select(Listing.id, *conditions).where(Listing.id.in_(chunk)))
            for listing_id, *passed in rows:
                for (number, _), passes in zip(some, passed, strict=True):
                    if passes:
                        passing[number].add(listing_id)
    return passing


def _showing(conditions: Iterable[ColumnElement[bool]]) -> Select[int, UUID | None]:
    # An outer join, so that SQLite starts with the photos. Without statistics it may otherwise take
    # a status for selective, and scan all listings that have it.
    passes = and_(Listing.id == ListingPhoto.listing_id, *conditions)
    return (
        select(ListingPhoto.photo_id, Listing.id)
        .outerjoin(Listing, passes)
        .where(ListingPhoto.photo_id.in_(bindparam("ids", expanding=True)))
        .order_by(ListingPhoto.listing_id)
    )


# Built once: most searches need it.
_SHOWING = _showing([Listing.status.in_(ACTIVE.status)])


def _conditions(session: Session, wanted: ListingFilter) -> Iterator[ColumnElement[bool]]:
    """The filter's conditions in SQL; all must hold."""
    yield Listing.status.in_(wanted.status)
    if wanted.category is not None:
        yield Listing.category_id.in_(_categories_under(session, wanted.category))
    if wanted.price_min is not None:
        yield Listing.price >= wanted.price_min
    if wanted.price_max is not None:
        yield Listing.price <= wanted.price_max
    if wanted.currency is not None:
        yield Listing.currency == wanted.currency
    if wanted.near is not None:
        yield _is_in_box(wanted.near)
        yield _haversine(session, wanted.near) <= haversine_of(wanted.near.km)
    if wanted.exclude_seller is not None:
        yield or_(Listing.seller.is_(None), Listing.seller != wanted.exclude_seller)


def _categories_under(session: Session, path: str) -> list[int]:
    """The integers of a category and of all below it; none when it is unknown."""
    # Not LIKE, which ignores case in SQLite.
    below = path + CATEGORY_SEPARATOR
    is_below = func.substr(Category.path, 1, len(below)) == below
    return list(session.scalars(select(Category.id).where(or_(Category.path == path, is_below))))


def _is_in_box(near: Near) -> ColumnElement[bool]:
    """The bounding box, which an index can check; it contains the circle."""
    box = box_around(near.latitude, near.longitude, near.km)
    beyond_west = Listing.longitude >= box.west
    short_of_east = Listing.longitude <= box.east
    across = or_ if box.west > box.east else and_
    return and_(Listing.latitude.between(box.south, box.north), across(beyond_west, short_of_east))


def _haversine(session: Session, near: Near) -> ColumnElement[float]:
    """As `models.domain.geo.haversine`, which SQLite calls."""
    if not is_postgresql(session):
        return func.haversine(
            near.latitude, near.longitude, Listing.latitude, Listing.longitude, type_=Float()
        )
    parallel = func.sin(_half_angle(Listing.latitude, near.latitude))
    meridian = func.sin(_half_angle(Listing.longitude, near.longitude))
    squeeze = cos(radians(near.latitude)) * func.cos(func.radians(Listing.latitude))
    return func.least(1.0, parallel * parallel + squeeze * (meridian * meridian))


def _half_angle(
    degrees: InstrumentedAttribute[float | None], others: float
) -> ColumnElement[float]:
    # PostgreSQL raises an underflow error when the square of a tiny number is zero.
    return func.radians(func.greatest(func.abs(degrees - others), TINY_DEGREES) * 0.5)
