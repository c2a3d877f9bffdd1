"""What is known of a user. Names and shapes of the models are the HTTP contract."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from models.domain.recommendations.events import EventKind


class UserEventOut(BaseModel):
    """An event of a user."""

    type: EventKind
    listing_id: UUID
    at: datetime
    search_id: UUID | None
    position: int | None


class UserPage(BaseModel):
    """What is known of a user: events, newest first, and what was asked for them."""

    items: list[UserEventOut]
    next_cursor: str | None
    jobs: list[UUID] = Field(
        description="Searches and recommendations for the user that are kept, newest first, with "
        "the first page only: 1,000 at most."
    )
