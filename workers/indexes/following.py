"""The interface of every index that follows the database."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from sqlalchemy.orm import Session

from models.index.photo_index import PhotoIndex
from observability.metrics import INDEX_FRESH, INDEX_GENERATION, INDEX_REMOVED, INDEX_ROWS


class IndexCounts(NamedTuple):
    """Photos that can be found, those of them that are newer than the generation, and those of the
    generation that are no longer shown."""

    rows: int
    fresh: int = 0
    removed: int = 0


class FollowingIndex(Protocol):
    """An index that follows the database, on top of a generation if there is one."""

    @property
    def index(self) -> PhotoIndex:
        """The index to search."""
        ...

    @property
    def generation_id(self) -> int | None:
        """The generation that is served, None where there is none."""
        ...

    @property
    def counts(self) -> "IndexCounts":
        """How many photos it holds."""
        ...

    def sync(self, session: Session) -> None:
        """Bring the index up to date with all that `session` sees."""
        ...

    def close(self) -> None:
        """Release threads and connections."""
        ...


class Repaired(NamedTuple):
    """How many missing photos were added to an index, and how many that are not live removed."""

    added: int
    removed: int


class SharedFollowingIndex(FollowingIndex, Protocol):
    """An index on a server that all workers share: it is repaired in place, never rebuilt."""

    def repair(self, on_progress: Callable[[int], None]) -> Repaired:
        """Add the live photos that it lacks, and remove what is in it and not live.

        Searches and changes go on meanwhile. `on_progress` gets how many live photos were compared.
        """
        ...


def tell_of_index(following: FollowingIndex) -> None:
    """Set the metrics of an index that was just brought up to date."""
    rows, fresh, removed = following.counts
    INDEX_ROWS.set(rows)
    INDEX_FRESH.set(fresh)
    INDEX_REMOVED.set(removed)
    if following.generation_id is not None:
        INDEX_GENERATION.set(following.generation_id)
