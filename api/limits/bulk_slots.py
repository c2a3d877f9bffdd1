"""Bounds the bulk requests that one process takes at once; more are told to come again."""

from math import ceil
from time import monotonic
from typing import Final

from models.domain.errors import RateLimited

LONGEST_WAIT_S: Final = 60
FIRST_GUESS_S: Final = 5.0
NEWEST_SHARE: Final = 0.3


class BulkSlots:
    """Places for so many requests. Used in one event loop; `refused` counts who found none."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken = 0
        self._takes_s = FIRST_GUESS_S
        self.refused = 0

    def enter(self) -> float:
        """Take a place; returns when. Raises RateLimited where none is free."""
        if self._taken >= self._places:
            self.refused += 1
            wait_s = min(LONGEST_WAIT_S, max(1, ceil(self._takes_s / self._places)))
            raise RateLimited(
                f"{self._places} bulk requests are being taken, as many as may be at once: try "
                f"again in {wait_s} s.",
                retry_after_s=wait_s,
            )
        self._taken += 1
        return monotonic()

    def leave(self, since: float) -> None:
        """Give the place back that was taken then."""
        self._taken -= 1
        self._takes_s += NEWEST_SHARE * (monotonic() - since - self._takes_s)
