"""What is known of a user. Names and shapes of the models are the HTTP contract."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from models.domain.recommendations.events import EventKind


class UserEventOut(BaseModel):
    """An event of a user."""

    type: EventKind
    listing_id: UUID
    at: datetime
    search_id: UUID | None
    position: int | None


class UserEventPage(BaseModel):
    """Events of a user, newest first."""

    items: list[UserEventOut]
    next_cursor: str | None
