"""What takes a feed in."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from db.listings import ListingData
from etl.images import PreparedPhoto

IsListed = Callable[[Iterable[str]], set[str]]
"""Those of some ids that the feed lists, whether their rows can be used or not."""


class Sink(Protocol):
    """Takes a feed in, batch by batch."""

    def start(self) -> None:
        """The feed's tables can be read: listings will come."""

    def load(self, listings: Sequence[ListingData], photos: Sequence[PreparedPhoto] | None) -> None:
        """Take listings in with exactly these photos; without `photos`, those they have stay."""

    def end(self, is_listed: IsListed) -> None:
        """All listings were taken in."""
