"""Saved searches as stated and shown. Names and shapes of the models are the HTTP contract."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, Json, JsonValue

from api.listings.schemas import ListingOut
from api.schemas import LINE, PhotoLink
from api.searches.schemas import SearchForm, SearchIn, Similarity, Text
from api.uploads.spool import Upload
from db.saved_searches.searches import SavedSearchStatus, SavedSearchView
from db.store.public_connections import MAX_URL

MAX_NAME: Final = 200

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), LINE]
_LEAST: Final = "The least similarity of a match; if not stated, that of what is very similar."


_WORDS: Final = (
    "Words that a listing must have, beside how it looks or alone; as written or inflected, none "
    'of them unfinished. `"a phrase"` stays together, `-this` is not wanted.'
)
_WEBHOOK: Final = "Where each match is sent to as well."


class WebhookIn(BaseModel):
    """Where matches are sent, by the rules of https://www.standardwebhooks.com."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(min_length=1, max_length=MAX_URL)] = Field(
        description="`https://…`, at a public address."
    )


class SavedSearchForm(SearchForm):
    """What is said beside the photos of a search that is saved; `webhook` as JSON."""

    name: Name
    webhook: Json[WebhookIn] | None = Field(default=None, description=_WEBHOOK)
    min_similarity: Similarity | None = Field(default=None, description=_LEAST)
    text: Text | None = Field(default=None, description=_WORDS)


class SavedSearchIn(SearchIn):
    """A search by what is stored or by words, to be saved.

    What orders or counts results says nothing here.
    """

    name: Name
    cursor: None = Field(default=None, description="There are no pages to go on to.")
    webhook: WebhookIn | None = Field(default=None, description=_WEBHOOK)
    min_similarity: Similarity | None = Field(default=None, description=_LEAST)
    text: Text | None = Field(default=None, description=_WORDS)


@dataclass(frozen=True, slots=True)
class SavedByPhotos:
    """A search by photos that were sent along, to be saved."""

    positive: Sequence[Upload]
    negative: Sequence[Upload]
    options: SavedSearchForm


class WebhookOut(BaseModel):
    """A webhook of a saved search."""

    url: str
    secret: str | None = Field(
        default=None, description="What signs it. Shown once, when the search is saved."
    )
    disabled_at: datetime | None = Field(
        description="Since when nothing is sent: its receiver has answered 410."
    )


class SavedSearchOut(BaseModel):
    """A saved search."""

    id: UUID
    name: str
    status: SavedSearchStatus = Field(
        description="`pending` until a worker has taken it up, which loses no match."
    )
    error: str | None = Field(description="Why it has failed.")
    search: dict[str, JsonValue] = Field(description="What it looks for, as a search states it.")
    webhook: WebhookOut | None
    created_at: datetime

    @classmethod
    def of(cls, view: SavedSearchView, *, with_secret: bool = False) -> Self:
        """The saved search as shown; its secret when it was just made only."""
        row = view.row
        webhook = None
        if row.webhook_url is not None:
            webhook = WebhookOut(
                url=row.webhook_url,
                secret=row.webhook_secret if with_secret else None,
                disabled_at=row.webhook_disabled_at,
            )
        return cls(
            id=row.id,
            name=row.name,
            status=view.status,
            error=view.error,
            search=row.stated,
            webhook=webhook,
            created_at=row.created_at,
        )


class SavedSearchPage(BaseModel):
    """Saved searches, newest first."""

    items: list[SavedSearchOut]
    next_cursor: str | None


class SavedSearchMatchOut(BaseModel):
    """A listing that was found, by the photo of it that matched best, or by words alone."""

    listing_id: UUID
    listing: ListingOut | None = Field(description="As it is now; null if it is deleted.")
    photo: PhotoLink | None = Field(
        description="By words alone the first one; null if there was none, or it was erased."
    )
    similarity: float | None = Field(description="Null if it was found by words alone.")
    matched_at: datetime
    delivered_at: datetime | None = Field(description="When its webhook was taken, if one is set.")
    attempts: int = Field(description="How often it was sent.")
    error: str | None = Field(description="Why the last attempt to send it failed.")


class MatchPage(BaseModel):
    """Matches, newest first."""

    items: list[SavedSearchMatchOut]
    next_cursor: str | None
