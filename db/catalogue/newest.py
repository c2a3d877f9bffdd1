"""The newest of the listings that pass a filter, as the database says.

Search workers ask it until they have columns in memory (`models.columns.newest`).
"""

from itertools import islice
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.catalogue.filters import ROWS_AT_ONCE, are_met, conditions_of
from db.tables import Listing
from models.domain.filters import ListingFilter

LOOKED_AT: Final = 20
"""Of all listings, how many are looked at for each that is wanted: most are active."""


def newest_listings(session: Session, wanted: ListingFilter, count: int) -> list[UUID]:
    """The `count` listings that were created last, those of a moment by id, newest first.

    Where the filter does not narrow, of the newest `LOOKED_AT` times as many: a status selects so
    little that the database would sort the whole catalogue.
    """
    statement = (
        select(Listing.id, Listing.status, Listing.attributes)
        .order_by(Listing.created_at.desc(), Listing.id.desc())
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    if wanted.narrows:
        statement = statement.where(*conditions_of(session, wanted))
    else:
        statement = statement.limit(LOOKED_AT * count)
    with session.execute(statement) as rows:
        passing = (
            listing_id
            for listing_id, status, attributes in rows
            if status in wanted.status and are_met(wanted.attributes, attributes)
        )
        return list(islice(passing, count))
