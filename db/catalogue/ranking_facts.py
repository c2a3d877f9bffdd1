"""What rankings read of listings."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from db.statements import chunks
from db.tables import Category, Listing
from models.domain.searches.facts import ListingFacts


def facts_of(
    session: Session, listing_ids: Iterable[UUID], popularity: str | None = None
) -> dict[UUID, ListingFacts]:
    """What a ranking needs to know of those of the listings that are there.

    `popularity` names the attribute that counts it.
    """
    # A column of JSON is parsed for each row: only where it is needed.
    statement = _FACTS if popularity is None else _FACTS.add_columns(Listing.attributes)
    found: dict[UUID, ListingFacts] = {}
    for chunk in chunks(listing_ids):
        for row in session.execute(statement, {"ids": chunk}):
            counted = None if popularity is None else _number(row.attributes.get(popularity))
            found[row.id] = facts_of_row(row, counted)
    return found


def facts_of_row(row: Row[*tuple[object, ...]], popularity: float | None = None) -> ListingFacts:
    """The facts of a row that has `FACTS`."""
    return ListingFacts(
        row.id,
        row.number,
        row.created_at,
        None if row.price_suspect or row.price is None else float(row.price),
        row.currency,
        row.latitude,
        row.longitude,
        row.seller,
        row.path,
        popularity,
    )


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type]


FACTS: Final = (
    Listing.id,
    Listing.number,
    Listing.created_at,
    Listing.price,
    Listing.price_suspect,
    Listing.currency,
    Listing.latitude,
    Listing.longitude,
    Listing.seller,
    Category.path,
)
"""The columns that facts are made of; the category is joined, where there is one."""

# Built once: every ranked search needs it.
_FACTS = (
    select(*FACTS)
    .outerjoin(Category, Listing.category_id == Category.id)
    .where(Listing.id.in_(bindparam("ids", expanding=True)))
)
