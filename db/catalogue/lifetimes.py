"""All listings that there are or were, and when they were listed and taken down."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.catalogue.ranking_facts import FACTS, facts_of_row
from db.tables import Category, Listing
from models.domain.searches.facts import ListingFacts
from models.domain.types import ListingStatus

ROWS_AT_ONCE: Final = 20_000


class Lifetime(NamedTuple):
    """A listing as it is ranked, and until when it was listed.

    `external_id` is what a feed calls it. `ended_at`, of what is sold or deleted, is when its row
    was last written, which is not before it was sold or deleted; None for what is listed.
    """

    facts: ListingFacts
    external_id: str | None
    ended_at: datetime | None


_ALL: Final = (
    select(*FACTS, Listing.external_id, Listing.status, Listing.updated_at)
    .outerjoin(Category, Listing.category_id == Category.id)
    .order_by(Listing.number)
)

_ENDED: Final = frozenset({ListingStatus.SOLD, ListingStatus.DELETED})


def lifetimes(session: Session, feed: str | None = None) -> Iterator[Lifetime]:
    """Every listing in order of its number; with `feed`, only those that it has brought."""
    statement = _ALL if feed is None else _ALL.where(Listing.feed == feed)
    for row in session.execute(statement, execution_options={"yield_per": ROWS_AT_ONCE}):
        ended_at = row.updated_at if row.status in _ENDED else None
        yield Lifetime(facts_of_row(row), row.external_id, ended_at)
