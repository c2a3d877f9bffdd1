"""The newest of the listings that pass, by their columns."""

from typing import Final
from uuid import UUID

import numpy as np

from models.columns.passing import Passing
from models.columns.postings import Rows
from models.columns.segment import Mask, Segment

LAST: Final = 8
"""So many times as many of the last rows are looked at first as are wanted."""


def newest(passing: Passing, count: int) -> list[UUID]:
    """The `count` listings that were created last, those of a moment by id, newest first."""
    found: list[tuple[int, UUID]] = []
    for segment, mask in passing.segments():
        rows = _newest_rows(segment, mask, count)
        found += zip(segment.created_at[rows].tolist(), segment.listing_ids(rows), strict=True)
    found.sort(reverse=True)
    return [listing_id for _, listing_id in found[:count]]


def _newest_rows(segment: Segment, mask: Mask, count: int) -> Rows:
    """The rows of the newest `count` that the mask selects, in any order."""
    rows = _rows_as_new(segment, mask, count)
    first = len(rows) - count
    if first <= 0:
        return rows
    created_at = segment.created_at[rows]
    oldest = np.partition(created_at, first)[first]
    newer, as_old = rows[created_at > oldest], rows[created_at == oldest]
    left = count - len(newer)
    if len(as_old) > left:
        # A feed that is taken in at once gives all its listings one time.
        is_as_old = np.zeros(segment.rows, np.bool_)
        is_as_old[as_old] = True
        as_old = segment.by_id[is_as_old[segment.by_id]][-left:]
    return np.concatenate([newer, as_old])


def _rows_as_new(segment: Segment, mask: Mask, count: int) -> Rows:
    """Rows that the mask selects, among them the newest `count`; few, if the last are new."""
    # Numbers grow as listings come in: what the last rows have is a bound for all.
    begin = max(0, segment.rows - LAST * count)
    last = segment.created_at[begin:][mask[begin:]]
    if begin and len(last) >= count:
        mask = mask & (segment.created_at >= np.partition(last, -count)[-count])
    rows: Rows = np.flatnonzero(mask).astype(np.int32)
    return rows
