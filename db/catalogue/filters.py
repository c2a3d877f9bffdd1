"""Which listings pass a filter, and which photos they show, as the database says.

Search workers ask it until they have columns in memory (`models.columns.passing`), which mean the
same by each condition. Conditions on attributes are checked of the rows that pass the others: text
is compared without regard to case, for which the databases have no common rule.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from math import cos, radians
from typing import Final, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Float, Select, and_, bindparam, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.statements import chunks, is_postgresql
from db.tables import Category, Listing, ListingPhoto
from models.domain.filters import ListingFilter, Near
from models.domain.geo import box_around, haversine_of
from models.domain.job_payloads import StoredJson
from models.domain.searches.attributes import AttributeCondition, Attributes
from models.domain.text import CATEGORY_SEPARATOR

ACTIVE = ListingFilter()

ROWS_AT_ONCE: Final = 1_000

TINY_DEGREES = 1e-12
"""Less than a thousandth of a millimetre."""

FILTERS_AT_ONCE: Final = 100
"""In one statement."""


def photos_passing(session: Session, wanted: ListingFilter, limit: int) -> list[int] | None:
    """The photos shown by listings that pass, in order of id; None when there are over `limit`.

    A photo counts once for each listing that shows it. At most `limit` + 1 rows are read.
    """
    if wanted.attributes:
        return _photos_meeting(session, wanted, limit)
    shown = session.scalars(
        select(ListingPhoto.photo_id)
        .join(Listing, Listing.id == ListingPhoto.listing_id)
        .where(*conditions_of(session, wanted))
        # Neither DISTINCT nor ORDER BY: both would read all that pass first.
        .limit(limit + 1)
    ).all()
    return None if len(shown) > limit else sorted(set(shown))


def _photos_meeting(session: Session, wanted: ListingFilter, limit: int) -> list[int] | None:
    statement = (
        select(ListingPhoto.photo_id, Listing.attributes)
        .join(Listing, Listing.id == ListingPhoto.listing_id)
        .where(*conditions_of(session, wanted))
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    shown: list[int] = []
    with session.execute(statement) as rows:
        for photo_id, attributes in rows:
            if are_met(wanted.attributes, attributes):
                shown.append(photo_id)
                if len(shown) > limit:
                    return None
    return sorted(set(shown))


def are_met(conditions: Iterable[AttributeCondition], attributes: StoredJson) -> bool:
    """Whether a listing with these attributes, as they are stored, meets all conditions."""
    # The database holds what `clean_attributes` has made.
    stored = cast("Attributes", attributes)
    return all(condition.is_met(stored) for condition in conditions)


def listings_showing(
    session: Session, photo_ids: Collection[int], wanted: ListingFilter = ACTIVE
) -> dict[int, list[UUID]]:
    """The listings that pass and show each photo, in order of id."""
    statement = _SHOWING if wanted == ACTIVE else _showing(conditions_of(session, wanted))
    found: dict[int, list[UUID]] = {}
    for chunk in chunks(photo_ids):
        for photo_id, listing_id in session.execute(statement, {"ids": chunk}):
            if listing_id is not None:
                found.setdefault(photo_id, []).append(listing_id)
    return _meeting(session, found, wanted.attributes) if wanted.attributes else found


def _meeting(
    session: Session,
    found: Mapping[int, list[UUID]],
    conditions: Collection[AttributeCondition],
) -> dict[int, list[UUID]]:
    """Those of the listings whose attributes meet the conditions."""
    met = {
        row.id
        for chunk in chunks(set(chain.from_iterable(found.values())))
        for row in session.execute(
            select(Listing.id, Listing.attributes).where(Listing.id.in_(chunk))
        )
        if are_met(conditions, row.attributes)
    }
    left = {photo: [one for one in listings if one in met] for photo, listings in found.items()}
    return {photo: listings for photo, listings in left.items() if listings}


def passing_each(
    session: Session, filters: Sequence[ListingFilter], listing_ids: Collection[UUID]
) -> list[set[UUID]]:
    """Those of the listings that pass, for each of the filters."""
    passing: list[set[UUID]] = [set() for _ in filters]
    for some in chunks(enumerate(filters), FILTERS_AT_ONCE):
        conditions = [and_(*conditions_of(session, wanted)) for _, wanted in some]
        for chunk in chunks(listing_ids):
            rows = session.execute(
                select(Listing.id, Listing.attributes, *conditions).where(Listing.id.in_(chunk))
            )
            for listing_id, attributes, *passed in rows:
                for (number, wanted), passes in zip(some, passed, strict=True):
                    if passes and are_met(wanted.attributes, attributes):
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


def conditions_of(session: Session, wanted: ListingFilter) -> Iterator[ColumnElement[bool]]:
    """The filter's conditions in SQL, but for those on attributes; all must hold."""
    yield Listing.status.in_(wanted.status)
    if wanted.category is not None:
        yield Listing.category_id.in_(categories_under(session, wanted.category))
    if wanted.price_min is not None:
        yield Listing.price >= wanted.price_min
    if wanted.price_max is not None:
        yield Listing.price <= wanted.price_max
    if wanted.currency is not None:
        yield Listing.currency == wanted.currency
    if wanted.near is not None:
        yield _is_in_box(wanted.near)
        yield _haversine(session, wanted.near) <= haversine_of(wanted.near.km)
    if wanted.seller is not None:
        yield Listing.seller == wanted.seller
    if wanted.created_after is not None:
        yield Listing.created_at > wanted.created_after
    if wanted.exclude_seller is not None:
        yield or_(Listing.seller.is_(None), Listing.seller != wanted.exclude_seller)


def categories_under(session: Session, path: str) -> list[int]:
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
