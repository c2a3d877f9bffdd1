"""The logs of changes leave once everybody who follows them has passed, from their beginning on.

A reader that has slept longer reads everything anew (`db.retention.removed`). What precedes a later
change of the same photo says nothing: it may go at any time, whoever follows.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db.id_set import IdSet
from db.retention.amounts import Amount
from db.retention.removed import Numbered, note_removed
from db.saved_searches.tables import (
    MatchingProgress,
    SavedSearch,
    SavedSearchChange,
    SavedSearchVectors,
)
from db.statements import chunks
from db.tables import Change, Encoder, Generation, ListingChange
from db.vectors.generations import USABLE
from models.domain.types import EncoderStatus

KEPT: Final = {
    Numbered.CHANGES: 100_000,
    Numbered.LISTING_CHANGES: 100_000,
    Numbered.SAVED_SEARCH_CHANGES: 10_000,
}
"""The newest changes that are kept whoever has passed: processes follow within seconds, and one
that has slept reads so many again faster than everything."""
AT_ONCE: Final = 2_000
_ROW_BYTES: Final = 24
_TABLES: Final[dict[Numbered, type[Change] | type[ListingChange] | type[SavedSearchChange]]] = {
    Numbered.CHANGES: Change,
    Numbered.LISTING_CHANGES: ListingChange,
    Numbered.SAVED_SEARCH_CHANGES: SavedSearchChange,
}


def passed(session: Session, log: Numbered, *, shared_index: bool = False) -> int:
    """The number up to which changes may leave; 0 if none may.

    `shared_index` says that the index is a server's, which keeps its own position, so that no
    generation needs changes.
    """
    newest = session.scalar(select(func.max(_TABLES[log].number))) or 0
    number = newest - KEPT[log]
    if log is Numbered.CHANGES and not shared_index:
        number = min(number, _needed_by_indexes(session, newest))
    if log is Numbered.LISTING_CHANGES:
        number = min(number, _needed_by_saved_searches(session, newest))
    return max(0, number)


def _needed_by_indexes(session: Session, newest: int) -> int:
    """The last change that all indexes have which may serve, now or after a rollback."""
    rows = session.execute(
        select(Generation.encoder_id, Generation.last_change).where(Generation.status.in_(USABLE))
    ).all()
    served = session.scalars(
        select(Encoder.id).where(Encoder.status.in_((EncoderStatus.ACTIVE, EncoderStatus.FOLLOWED)))
    )
    indexed = {row.encoder_id for row in rows}
    if any(encoder_id not in indexed for encoder_id in served):
        return 0
    return min((row.last_change or 0 for row in rows), default=newest)


def _needed_by_saved_searches(session: Session, newest: int) -> int:
    """The last change that was matched with all saved searches, also with those to be embedded."""
    if session.scalar(select(SavedSearch.number).limit(1)) is None:
        return newest
    matched = session.scalars(select(MatchingProgress.number)).one()
    embedded = select(SavedSearchVectors.saved_search)
    waiting = session.scalar(
        select(func.min(SavedSearch.after)).where(SavedSearch.number.not_in(embedded))
    )
    return matched if waiting is None else min(matched, waiting)


def any_passed(session: Session, log: Numbered, up_to: int) -> bool:
    """Whether there is a change up to this number."""
    oldest = session.scalar(select(func.min(_TABLES[log].number)))
    return oldest is not None and oldest <= up_to


def remove_passed(session: Session, log: Numbered, up_to: int) -> int:
    """Delete the oldest changes up to this number, so many at once; returns how many."""
    table = _TABLES[log]
    numbers = session.scalars(
        select(table.number).where(table.number <= up_to).order_by(table.number).limit(AT_ONCE)
    ).all()
    if not numbers:
        return 0
    note_removed(session, log, numbers[-1])
    deleting = delete(table).where(table.number <= numbers[-1])
    session.execute(deleting.execution_options(synchronize_session=False))
    return len(numbers)


def passed_amount(session: Session, log: Numbered, up_to: int) -> Amount:
    """How many changes there are up to this number."""
    table = _TABLES[log]
    count = session.scalars(
        select(func.count()).select_from(table).where(table.number <= up_to)
    ).one()
    return Amount(count, count * _ROW_BYTES)


def count_changes(session: Session) -> int:
    """How many changes of photos are kept."""
    return session.scalars(select(func.count()).select_from(Change)).one()


def superseded(session: Session, below: int, seen: IdSet) -> tuple[int, list[int]]:
    """Of the next changes of photos below this number, newest first: those not needed.

    `seen` are the photos of the changes from there on; it gets those of these. Gives the lowest
    number that was looked at as well, 0 if there was none.
    """
    rows = session.execute(
        select(Change.number, Change.photo_id)
        .where(Change.number < below)
        .order_by(Change.number.desc())
        .limit(AT_ONCE)
    ).all()
    numbers: list[int] = []
    for number, photo_id in rows:
        if photo_id in seen:
            numbers.append(number)
        else:
            seen.update([photo_id])
    return (rows[-1].number if rows else 0), numbers


def remove_superseded(session: Session, numbers: Sequence[int]) -> int:
    """Delete these changes of photos; returns how many there were."""
    for chunk in chunks(numbers):
        deleting = delete(Change).where(Change.number.in_(chunk))
        session.execute(deleting.execution_options(synchronize_session=False))
    return len(numbers)
