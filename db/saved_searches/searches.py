"""Saved searches: made, read, deleted. Needs no numpy: the API imports this."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.orm import Session

from db.saved_searches.progress import (
    last_listing_change,
    lock_for_changing,
    record_saved_changes,
    skip_listing_changes,
)
from db.saved_searches.tables import SavedSearch, SavedSearchMatch, SavedSearchVectors
from db.tables import Encoder
from db.vectors.encoders import active_encoder
from models.domain.errors import Conflict, NotFound
from models.domain.job_payloads import SearchPayload, StoredJson
from models.domain.types import EncoderStatus

MAX_SAVED_SEARCHES: Final = 100_000
"""Their vectors are in the memory of each embed worker: at most, with ResNet-50, 0.8 GB of each
vector that a search has."""


NO_SUCH_SAVED_SEARCH: Final = "There is no such saved search."


class SavedSearchStatus(StrEnum):
    """Whether listings are matched with it: once its photos were embedded, if they can be."""

    PENDING = "pending"
    ACTIVE = "active"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where matches are sent, in the URL's own words and by its host, and what signs them."""

    url: str
    host: str
    secret: str


@dataclass(frozen=True, slots=True)
class NewSavedSearch:
    """A search to be saved; see `SavedSearch`.

    `listing_photos` are the SHA-256 of the photos of each listing that it names.
    """

    id: UUID
    name: str
    stated: StoredJson
    payload: SearchPayload
    listing_photos: Mapping[UUID, Sequence[str]]
    min_similarity: float | None = None
    webhook: Webhook | None = None
    made_by: str | None = None


@dataclass(frozen=True, slots=True)
class SavedSearchView:
    """A saved search as it is shown; `error` is why the active encoder can't embed it."""

    row: SavedSearch
    status: SavedSearchStatus
    error: str | None


def save_search(session: Session, new: NewSavedSearch, now: datetime) -> SavedSearchView:
    """Store a search: listings that change from now on are matched with it.

    Raises Conflict when there are `MAX_SAVED_SEARCHES`.
    """
    lock_for_changing(session)
    saved = session.scalars(select(func.count()).select_from(SavedSearch)).one()
    if saved >= MAX_SAVED_SEARCHES:
        raise Conflict(f"There are {MAX_SAVED_SEARCHES:,} saved searches: delete one first.")
    if not saved:
        skip_listing_changes(session)
    webhook = new.webhook
    row = SavedSearch(
        id=new.id,
        name=new.name,
        stated=new.stated,
        payload=new.payload.to_json(),
        listing_photos={str(id_): list(photos) for id_, photos in new.listing_photos.items()},
        min_similarity=new.min_similarity,
        after=last_listing_change(session),
        webhook_url=webhook and webhook.url,
        webhook_host=webhook and webhook.host,
        webhook_secret=webhook and webhook.secret,
        made_by=new.made_by,
        created_at=now,
    )
    session.add(row)
    session.flush()
    record_saved_changes(session, [row.number])
    return SavedSearchView(row, SavedSearchStatus.PENDING, None)


def get_saved_search(session: Session, search_id: UUID) -> SavedSearchView:
    """A saved search. Raises NotFound."""
    found = session.execute(_shown().where(SavedSearch.id == search_id)).one_or_none()
    if found is None:
        raise NotFound(NO_SUCH_SAVED_SEARCH)
    row, embedded_by, error = found
    return _view(row, embedded_by, error)


def recent_saved_searches(
    session: Session,
    limit: int,
    before: tuple[datetime, UUID] | None,
    *,
    made_by: str | None = None,
) -> list[SavedSearchView]:
    """Saved searches, newest first: all, or those that no key, or one of this name, has saved.

    `before` is the creation time and id of the last one seen.
    """
    newest_first = (SavedSearch.created_at.desc(), SavedSearch.id.desc())
    statement = _shown().order_by(*newest_first).limit(limit)
    if made_by is not None:
        statement = statement.where(
            or_(SavedSearch.made_by == made_by, SavedSearch.made_by.is_(None))
        )
    if before is not None:
        created_at, search_id = before
        statement = statement.where(
            or_(
                SavedSearch.created_at < created_at,
                and_(SavedSearch.created_at == created_at, SavedSearch.id < search_id),
            )
        )
    return [_view(row, by, error) for row, by, error in session.execute(statement)]


def delete_saved_search(session: Session, search_id: UUID) -> None:
    """Remove a saved search and its matches; nothing more is sent of it. Raises NotFound."""
    lock_for_changing(session)
    number = session.scalar(select(SavedSearch.number).where(SavedSearch.id == search_id))
    if number is None:
        raise NotFound(NO_SUCH_SAVED_SEARCH)
    for table in (SavedSearchMatch, SavedSearchVectors):
        session.execute(delete(table).where(table.saved_search == number))
    session.execute(delete(SavedSearch).where(SavedSearch.number == number))
    record_saved_changes(session, [number])


def disable_webhook(session: Session, number: int, now: datetime) -> None:
    """Send nothing more to a saved search's webhook, also what is due."""
    session.execute(
        update(SavedSearch).where(SavedSearch.number == number).values(webhook_disabled_at=now)
    )
    session.execute(
        update(SavedSearchMatch)
        .where(SavedSearchMatch.saved_search == number)
        .values(next_attempt_at=None)
    )


def any_unembedded(session: Session, encoder_id: int) -> bool:
    """Whether there is a saved search that this encoder has yet to embed."""
    # Counted in indexes, as this is asked all the time: those embedded are a part of those saved.
    saved = select(func.count()).select_from(SavedSearch)
    embedded = select(func.count()).where(SavedSearchVectors.encoder_id == encoder_id)
    return session.scalars(saved).one() > session.scalars(embedded).one()


def is_active_behind(session: Session) -> bool:
    """Whether there is a saved search that the active encoder has yet to embed."""
    active = active_encoder(session)
    return active is not None and any_unembedded(session, active.id)


def is_unembedded(encoder_id: int) -> ColumnElement[bool]:
    """The condition that a saved search has yet to be embedded by this encoder."""
    return ~exists().where(
        SavedSearchVectors.encoder_id == encoder_id,
        SavedSearchVectors.saved_search == SavedSearch.number,
    )


def _shown() -> Select[SavedSearch, int | None, str | None]:
    is_of_active = and_(
        SavedSearchVectors.saved_search == SavedSearch.number,
        SavedSearchVectors.encoder_id
        == select(Encoder.id).where(Encoder.status == EncoderStatus.ACTIVE).scalar_subquery(),
    )
    embedded_by: ColumnElement[int | None] = type_coerce(SavedSearchVectors.encoder_id, Integer())
    return select(SavedSearch, embedded_by, SavedSearchVectors.error_detail).outerjoin(
        SavedSearchVectors, is_of_active
    )


def _view(row: SavedSearch, embedded_by: int | None, error: str | None) -> SavedSearchView:
    status = SavedSearchStatus.ACTIVE
    if embedded_by is None:
        status = SavedSearchStatus.PENDING
    elif error is not None:
        status = SavedSearchStatus.FAILED
    return SavedSearchView(row, status, error)
