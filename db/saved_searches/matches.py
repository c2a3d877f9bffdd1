"""What saved searches have found: each listing once."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from db.saved_searches.tables import SavedSearch, SavedSearchMatch
from db.statements import chunks, insert_missing
from models.domain.job_payloads import SearchPayload


class Candidate(NamedTuple):
    """A saved search that listings may pass. `after` is as in `SavedSearch`."""

    payload: SearchPayload
    after: int
    has_webhook: bool


class NewMatch(NamedTuple):
    """A listing that a saved search has found, by one of its photos or by words alone."""

    saved_search: int
    listing_id: UUID
    photo_id: int | None
    similarity: float | None
    has_webhook: bool


def candidates(session: Session, numbers: Collection[int]) -> dict[int, Candidate]:
    """Those of the saved searches that are there, by number."""
    rows = (
        row
        for chunk in chunks(numbers)
        for row in session.execute(
            select(
                SavedSearch.number,
                SavedSearch.payload,
                SavedSearch.after,
                SavedSearch.webhook_url,
                SavedSearch.webhook_disabled_at,
            ).where(SavedSearch.number.in_(chunk))
        )
    )
    return {
        row.number: Candidate(
            SearchPayload.parse(row.payload),
            row.after,
            row.webhook_url is not None and row.webhook_disabled_at is None,
        )
        for row in rows
    }


def add_matches(session: Session, found: Sequence[NewMatch], now: datetime) -> None:
    """Store matches, without those that are stored already; those with a webhook become due."""
    rows = [
        {
            "saved_search": match.saved_search,
            "listing_id": match.listing_id,
            "photo_id": match.photo_id,
            "similarity": match.similarity,
            "created_at": now,
            "attempts": 0,
            "next_attempt_at": now if match.has_webhook else None,
        }
        # In order of the key, so that two who match do not deadlock.
        for match in sorted(found)
    ]
    insert_missing(session, SavedSearchMatch, rows, key=["saved_search", "listing_id"])


def recent_matches(
    session: Session, saved_search: int, limit: int, before: tuple[datetime, UUID] | None
) -> Sequence[SavedSearchMatch]:
    """Matches, newest first; `before` is the time and the listing of the last one seen."""
    statement = (
        select(SavedSearchMatch)
        .where(SavedSearchMatch.saved_search == saved_search)
        .order_by(SavedSearchMatch.created_at.desc(), SavedSearchMatch.listing_id.desc())
        .limit(limit)
    )
    if before is not None:
        created_at, listing_id = before
        statement = statement.where(
            or_(
                SavedSearchMatch.created_at < created_at,
                and_(
                    SavedSearchMatch.created_at == created_at,
                    SavedSearchMatch.listing_id < listing_id,
                ),
            )
        )
    return session.scalars(statement).all()
