"""What takes a feed in."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from db.catalogue.listings import ListingData
from etl.photos.prepare import PreparedPhoto

IsListed = Callable[[Iterable[str]], set[str]]
"""Those of some ids that the feed lists, whether their rows can be used or not."""


class Sink(Protocol):
    """Takes a feed in, batch by batch."""

    def start(self, images: int | None) -> None:
        """The tables were read: listings will come, with so many images if any are known of."""

    def load(self, listings: Sequence[ListingData], photos: Sequence[PreparedPhoto] | None) -> None:
        """Take listings in with these photos, among which may be some that can't be used.

        Without `photos`, those that the listings have stay.
        """

    def end(self, is_listed: IsListed) -> None:
        """All listings were taken in."""
