"""How far the listing changes were matched with the saved searches, and who may write meanwhile.

Whoever matches holds a lock that others who match share, and whoever changes saved searches holds
it alone: so a match is never written for one that is gone, and what was matched before a search was
embedded is known to come before.
"""

from collections.abc import Collection
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from db.advisory_locks import hold_lock
from db.saved_searches.tables import (
    MatchingProgress,
    SavedSearch,
    SavedSearchChange,
    SavedSearchVectors,
)
from db.tables import ListingChange
from db.vectors.encoders import active_encoder

# An arbitrary key; no other lock in the same database may use it.
SAVED_SEARCHES_LOCK: Final = 0x4D4C_5353


def lock_for_matching(session: Session) -> None:
    """Keep saved searches as they are until this transaction ends; others may match as well."""
    hold_lock(session, SAVED_SEARCHES_LOCK, shared=True)


def lock_for_changing(session: Session) -> None:
    """Wait for those who match, and keep others from it until this transaction ends."""
    hold_lock(session, SAVED_SEARCHES_LOCK)


def record_saved_changes(session: Session, numbers: Collection[int]) -> None:
    """Add saved searches to their change feed; within `lock_for_changing`, for its order."""
    rows = [{"saved_search": number} for number in sorted(numbers)]
    if rows:
        session.execute(insert(SavedSearchChange), rows)


def last_listing_change(session: Session) -> int:
    """The newest committed listing change, 0 when there is none."""
    return session.scalar(select(func.max(ListingChange.number))) or 0


class ListingChanges(NamedTuple):
    """The next changes: the last one's number, and of each listing the number of its last."""

    last: int
    listings: dict[UUID, int]


def next_listing_changes(session: Session, limit: int) -> ListingChanges | None:
    """The next listing changes to match; `advance` says that it was done.

    None where there are none, or another process is at it. Until this transaction ends, others get
    none.
    """
    statement = select(MatchingProgress.number).with_for_update(skip_locked=True)
    done = session.scalar(statement)
    if done is None:
        return None
    rows = session.execute(
        select(ListingChange.number, ListingChange.listing_id)
        .where(ListingChange.number > done)
        .order_by(ListingChange.number)
        .limit(limit)
    ).all()
    if not rows:
        return None
    there = {row.listing_id: row.number for row in rows if row.listing_id is not None}
    return ListingChanges(rows[-1].number, there)


def advance(session: Session, number: int) -> None:
    """State that the listing changes up to this one were matched."""
    session.execute(update(MatchingProgress).values(number=number))


def skip_listing_changes(session: Session) -> None:
    """State that all listing changes were matched: there was no saved search yet."""
    advance(session, last_listing_change(session))


def note_encoder(session: Session, encoder_id: int) -> None:
    """State that from now on it is matched by this encoder."""
    if session.scalar(select(MatchingProgress.encoder_id)) != encoder_id:
        values = {"encoder_id": encoder_id, "switched_at": MatchingProgress.number}
        session.execute(update(MatchingProgress).values(values))


def rewind_for(session: Session, encoder_id: int, numbers: Collection[int]) -> None:
    """Have listings matched again that changed before these searches had this encoder's vectors.

    Since they were saved, or since the encoder before, by which they were matched until then.
    Nothing where the encoder is not the active one. Within `lock_for_changing`.
    """
    active = active_encoder(session)
    if active is None or active.id != encoder_id or not numbers:
        return
    note_encoder(session, encoder_id)
    progress = select(MatchingProgress.number, MatchingProgress.switched_at).with_for_update()
    done, switched_at = session.execute(progress).one()
    others = select(SavedSearchVectors.saved_search).where(
        SavedSearchVectors.saved_search.in_(numbers), SavedSearchVectors.encoder_id != encoder_id
    )
    matched_before = set(session.scalars(others))
    rows = session.execute(
        select(SavedSearch.number, SavedSearch.after).where(SavedSearch.number.in_(numbers))
    )
    since = min(
        (
            max(row.after, switched_at) if row.number in matched_before else row.after
            for row in rows
        ),
        default=done,
    )
    if since < done:
        advance(session, since)


def is_behind(session: Session) -> bool:
    """Whether listing changes are to be matched with a saved search."""
    if session.scalar(select(SavedSearch.number).limit(1)) is None:
        return False
    return last_listing_change(session) > session.scalars(select(MatchingProgress.number)).one()
