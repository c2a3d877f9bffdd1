"""Up to which number a numbered table's rows were removed."""

from enum import StrEnum

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from db.retention.tables import HighestRemoved
from db.statements import upsert


class Numbered(StrEnum):
    """Tables whose numbers are never given again, by their name."""

    CHANGES = "changes"
    LISTING_CHANGES = "listing_changes"
    SAVED_SEARCH_CHANGES = "saved_search_changes"
    LISTINGS = "listings"


class ChangesMissed(Exception):
    """Changes that are asked for were removed: what follows them has to be read anew."""


_HIGHEST = select(HighestRemoved.number).where(HighestRemoved.of == bindparam("its_name"))


def highest_removed(session: Session, of: Numbered) -> int:
    """The highest number that was removed, 0 if none was."""
    return session.scalar(_HIGHEST, {"its_name": of.value}) or 0


def note_removed(session: Session, of: Numbered, number: int) -> None:
    """State that this number was removed; of a log, with all before it."""
    noting = upsert(session, HighestRemoved).values(of=of.value, number=number)
    session.execute(
        noting.on_conflict_do_update(
            index_elements=["of"],
            set_={"number": noting.excluded.number},
            where=HighestRemoved.number < noting.excluded.number,
        )
    )


def require_all_after(session: Session, of: Numbered, number: int, first: int) -> None:
    """Raise ChangesMissed if some after `number` were removed; `first` is the next that is there.

    Asks the database only where numbers are missing, which also transactions leave that failed.
    """
    if first > number + 1 and highest_removed(session, of) > number:
        raise ChangesMissed(f"{of} after {number}")
