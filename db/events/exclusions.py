"""What a user does not want to be shown again: exclusions count from the commit of their events."""

from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from db.events.tables import IS_HIDDEN, IS_TOUCH, TOUCHES, Event
from db.tables import Listing
from models.domain.recommendations.options import NEVER_AGAIN

_OF_USER = Event.user_key == bindparam("user")

# Built once: every recommendation, and every search of a user, needs one of them.
_NEVER_AGAIN = (
    select(Event.listing_number)
    .where(_OF_USER, IS_TOUCH, Event.kind.in_(sorted(NEVER_AGAIN & TOUCHES)))
    .union(select(Event.listing_number).where(_OF_USER, IS_HIDDEN))
)
_HIDDEN = (
    select(Listing.id)
    .join(Event, Event.listing_number == Listing.number)
    .where(_OF_USER, IS_HIDDEN)
)


def never_again(session: Session, user: bytes) -> frozenset[int]:
    """The numbers of the listings that a user has hidden, contacted or purchased."""
    return frozenset(session.scalars(_NEVER_AGAIN, {"user": user}))


def hidden_listings(session: Session, user: bytes) -> set[UUID]:
    """The listings that a user has hidden."""
    return set(session.scalars(_HIDDEN, {"user": user}))
