"""The listings that a transaction writes: what is derived of them is written once, at its end."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.orm import Session

# Key in `session.info`.
_TOUCHED = "touched_listings"


def touch_listings(session: Session, listing_ids: Iterable[UUID]) -> None:
    """State that this transaction has written these listings, or which photos they show."""
    session.info.setdefault(_TOUCHED, set()).update(listing_ids)


def touched_listings(session: Session) -> frozenset[UUID]:
    """The listings that were touched since the transaction began."""
    return frozenset(session.info.get(_TOUCHED, ()))
