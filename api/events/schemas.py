"""Events as stated and answered. Names and shapes of the models are the HTTP contract."""

from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.schemas import AS_TYPED
from db.events.store import NewEvent, StoredBatch
from models.domain.limits import MAX_USER
from models.domain.recommendations.events import MAX_EVENT_ID, MAX_POSITION, EventKind

MAX_EVENTS: Final = 1_000
MAX_EVENTS_BYTES: Final = 8_000_000
"""Of a batch whose ids are as long as they may be, each character escaped in JSON."""


class EventIn(BaseModel):
    """What a user did with a listing, or was shown (`impression`)."""

    model_config = ConfigDict(extra="forbid")

    event_id: Annotated[str, Field(min_length=1, max_length=MAX_EVENT_ID), AS_TYPED] = Field(
        description="Yours. An event that comes again with the same id is not stored again."
    )
    user: Annotated[str, Field(min_length=1, max_length=MAX_USER), AS_TYPED] = Field(
        description="Your pseudonym of a user, or of a session. It is stored as a keyed hash only."
    )
    type: EventKind = Field(description="What was done.")
    listing_id: UUID
    at: Annotated[AwareDatetime, Field(strict=True)] = Field(
        description="When, with a time zone; kept in milliseconds."
    )
    search_id: UUID | None = Field(
        default=None, description="The search or recommendation that has shown the listing."
    )
    position: Annotated[int, Field(ge=0, le=MAX_POSITION)] | None = Field(
        default=None, description="The listing's place among all that it has shown, from 1."
    )

    def to_event(self) -> NewEvent:
        """The event as the database takes it."""
        return NewEvent(
            event_id=self.event_id,
            user=self.user,
            kind=self.type,
            listing_id=self.listing_id,
            at=self.at,
            search_id=self.search_id,
            position=self.position,
        )


class EventsIn(BaseModel):
    """A batch of events."""

    model_config = ConfigDict(extra="forbid")

    events: Annotated[list[EventIn], Field(min_length=1, max_length=MAX_EVENTS, fail_fast=True)]


class RejectedEvent(BaseModel):
    """An event that was not stored."""

    index: int = Field(description="Its place in the batch, from 0.")
    event_id: str
    code: str = Field(description="`unknown_listing`, `in_future` or `too_old`.")
    detail: str = Field(description="One sentence, for people.")


class EventsStored(BaseModel):
    """What became of a batch: all its events are in one of the three."""

    stored: int
    duplicates: int = Field(description="Events that were stored before, or are twice in it.")
    rejected: list[RejectedEvent]

    @classmethod
    def of(cls, batch: StoredBatch) -> Self:
        """The outcome as shown."""
        rejected = [
            RejectedEvent(index=one.index, event_id=one.event_id, code=one.code, detail=one.detail)
            for one in batch.rejected
        ]
        return cls(stored=batch.stored, duplicates=batch.duplicates, rejected=rejected)
