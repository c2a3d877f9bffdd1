"""What every index that follows the database can do."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from sqlalchemy.orm import Session

from models.index.photo_index import PhotoIndex


class FollowingIndex(Protocol):
    """An index that follows the database; `generation_id` names the generation it stands on."""

    @property
    def index(self) -> PhotoIndex:
        """What is searched."""
        ...

    @property
    def generation_id(self) -> int | None:
        """The generation that is served, None where there is none."""
        ...

    def sync(self, session: Session) -> None:
        """Have the next search see all that `session` sees."""
        ...

    def close(self) -> None:
        """Release threads and connections."""
        ...


class Repaired(NamedTuple):
    """What was wrong with an index: photos that it lacked, and photos that are not live."""

    added: int
    removed: int


class SharedFollowingIndex(FollowingIndex, Protocol):
    """An index on a server that all workers share: it is repaired in place, never built anew."""

    def repair(self, on_progress: Callable[[int], None]) -> Repaired:
        """Add the live photos that it lacks, and remove what is in it and not live.

        Searches and changes go on meanwhile. `on_progress` gets how many live photos were compared.
        """
        ...
