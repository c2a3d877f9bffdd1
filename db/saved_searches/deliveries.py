"""Webhooks that are due: the database owns them, as it does jobs, and each is sent at least once.

A claim moves the next attempt beyond the time that one takes: if its process is killed, another
attempt follows by itself.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Session

from db.saved_searches.tables import SavedSearch, SavedSearchMatch

EXAMINED: Final = 200
"""Rows that are looked at, at most, for those whose hosts have room."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A match to be sent. `attempts` counts this one, and identifies it."""

    saved_search: int
    search_id: UUID
    name: str
    listing_id: UUID
    similarity: float | None
    matched_at: datetime
    attempts: int
    url: str
    host: str
    secret: str


def any_due(session: Session, now: datetime) -> bool:
    """Whether a match is due: asked before writing, so that who is idle takes no write lock."""
    due = select(SavedSearchMatch.saved_search).join(
        SavedSearch, SavedSearch.number == SavedSearchMatch.saved_search
    )
    return session.scalar(due.where(_is_due(now)).limit(1)) is not None


def claim_deliveries(
    session: Session,
    now: datetime,
    lease: timedelta,
    *,
    limit: int,
    room: int,
    busy: Mapping[str, int],
    paused: Collection[str] = (),
) -> list[Delivery]:
    """Claim up to `limit` matches that are due, the longest due first.

    Up to `room` of each host, less those that are `busy`; none of the paused hosts.
    """
    full = {host for host, count in busy.items() if count >= room} | set(paused)
    due = session.execute(
        select(SavedSearchMatch, SavedSearch)
        .join(SavedSearch, SavedSearch.number == SavedSearchMatch.saved_search)
        .where(_is_due(now), SavedSearch.webhook_host.not_in(full))
        .order_by(SavedSearchMatch.next_attempt_at)
        .limit(EXAMINED)
        .with_for_update(of=SavedSearchMatch, skip_locked=True)
    )
    taken = Counter(busy)
    claimed: list[Delivery] = []
    for match, saved in due:
        host = saved.webhook_host or ""
        if len(claimed) < limit and taken[host] < room:
            taken[host] += 1
            match.attempts += 1
            match.next_attempt_at = now + lease
            claimed.append(_delivery(match, saved))
    session.flush()
    return claimed


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(SavedSearchMatch.next_attempt_at <= now, SavedSearch.webhook_disabled_at.is_(None))


def _delivery(match: SavedSearchMatch, saved: SavedSearch) -> Delivery:
    return Delivery(
        saved_search=match.saved_search,
        search_id=saved.id,
        name=saved.name,
        listing_id=match.listing_id,
        similarity=match.similarity,
        matched_at=match.created_at,
        attempts=match.attempts,
        url=saved.webhook_url or "",
        host=saved.webhook_host or "",
        secret=saved.webhook_secret or "",
    )


def record_delivered(session: Session, delivery: Delivery, now: datetime) -> None:
    """State that a match was taken by its receiver."""
    _record(session, delivery, delivered_at=now, next_attempt_at=None, error=None)


def record_failed(
    session: Session, delivery: Delivery, error: str, next_attempt_at: datetime | None
) -> None:
    """State why an attempt failed, and when the next one follows, if any."""
    _record(session, delivery, error=error, next_attempt_at=next_attempt_at)


def _record(session: Session, delivery: Delivery, **values: object) -> None:
    """Unless another attempt has begun, or it has been delivered or disabled meanwhile."""
    session.execute(
        update(SavedSearchMatch)
        .where(
            SavedSearchMatch.saved_search == delivery.saved_search,
            SavedSearchMatch.listing_id == delivery.listing_id,
            SavedSearchMatch.attempts == delivery.attempts,
            SavedSearchMatch.next_attempt_at.is_not(None),
        )
        .values(values)
        .execution_options(synchronize_session=False)
    )
