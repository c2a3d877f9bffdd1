"""The interface that a feed is loaded into."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from db.catalogue.listings import ListingData
from etl.photos.prepare import PreparedPhoto

IsListed = Callable[[Iterable[str]], set[str]]
"""Those of some ids that the feed lists, whether their rows can be used or not."""


class Sink(Protocol):
    """Loads a feed, batch by batch."""

    def start(self, images: int | None) -> None:
        """Called when the tables were read; `images` is None if photos are unknown."""

    def load(self, listings: Sequence[ListingData], photos: Sequence[PreparedPhoto] | None) -> None:
        """Load listings with these photos, some of which may be unusable.

        Without `photos`, those that the listings have stay.
        """

    def end(self, is_listed: IsListed) -> None:
        """Called when all listings were loaded."""
