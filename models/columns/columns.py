"""All listings in columns, as of a number of the feed of their changes."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.columns.segment import Dictionaries, ListingBatch, Segment, merge, segment_of

MERGE_FROM: Final = 2
"""A segment is merged into the one before it once that has less than this times its rows."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The listings that are not deleted, each live in one of the segments, the newest ones last.

    `last_change` is the number of the last change of listings that they hold. Nothing of it is
    changed, but that the dictionaries grow: another thread may read what one has replaced.
    """

    last_change: int = 0
    dictionaries: Dictionaries = field(default_factory=Dictionaries)
    segments: tuple[Segment, ...] = ()

    @property
    def listings(self) -> int:
        """How many listings there are."""
        return sum(segment.live_rows for segment in self.segments)

    def updated(
        self, last_change: int, changed: NDArray[np.int64], batch: ListingBatch
    ) -> "Columns":
        """The same with listings as they are now.

        `changed` (n,) are the numbers of those that are looked up again; `batch` has those of them
        that are not deleted.
        """
        segments = [segment.without(changed) for segment in self.segments]
        if len(batch.numbers):
            segments.append(segment_of(batch, self.dictionaries))
        while len(segments) > 1 and segments[-2].rows < MERGE_FROM * segments[-1].rows:
            segments[-2:] = [merge(segments[-2:])]
        return Columns(last_change, self.dictionaries, tuple(segments))

    def compacted(self) -> "Columns":
        """The same in one segment."""
        segments = tuple(self.segments)
        if len(segments) > 1 or any(segment.live is not None for segment in segments):
            segments = (merge(segments),)
        return Columns(self.last_change, self.dictionaries, segments)
