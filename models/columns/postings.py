"""One attribute in a segment: which rows have each of its texts and booleans, and its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.columns.dictionary import TextDictionary
from models.domain.searches.attributes import AttributeValue

Rows = NDArray[np.int32]
"""Rows of a segment."""

FALSE, TRUE, FIRST_TEXT = 0, 1, 2
"""Codes of values: of the two booleans, and of the first text of the attribute's dictionary."""

_ROW_BITS: Final = np.int64(32)
_ROW_MASK: Final = np.int64((1 << 32) - 1)


@dataclass(frozen=True, slots=True)
class Postings:
    """The values of one attribute.

    `codes` (k,) ascend; rows[offsets[n]:offsets[n + 1]], ascending as well, have codes[n]. Row
    number_rows[n], ascending, has the number numbers[n].
    """

    codes: NDArray[np.int32]
    offsets: NDArray[np.int32]
    rows: Rows
    number_rows: Rows
    numbers: NDArray[np.float64]

    def rows_of(self, code: int) -> Rows:
        """The rows that have a value."""
        place = int(np.searchsorted(self.codes, code))
        if place == len(self.codes) or self.codes[place] != code:
            return self.rows[:0]
        return self.rows[self.offsets[place] : self.offsets[place + 1]]

    def counts(self, passing: NDArray[np.bool_], codes: int) -> NDArray[np.int64]:
        """How many of the passing rows have each value, (codes,)."""
        counts = np.zeros(codes, np.int64)
        if len(self.codes):
            counts[self.codes] = np.add.reduceat(
                passing[self.rows], self.offsets[:-1], dtype=np.int64
            )
        return counts


@dataclass(slots=True)
class PostingsBuilder:
    """Collects the values of one attribute, row by row."""

    texts: TextDictionary
    keys: list[int] = field(default_factory=list)
    number_rows: list[int] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)

    def add(self, row: int, value: AttributeValue) -> None:
        """Add a row's value; rows ascend."""
        # In order of frequency: this runs for each value of each listing.
        if isinstance(value, str):
            code = self.texts.codes.get(value)
            if code is None:
                code = self.texts.add(value)
            self.keys.append((code + FIRST_TEXT) << 32 | row)
        elif isinstance(value, bool):
            self.keys.append((TRUE if value else FALSE) << 32 | row)
        elif isinstance(value, list):
            for text in value:
                self.add(row, text)
        else:
            self.number_rows.append(row)
            self.numbers.append(value)

    def build(self) -> Postings:
        """What was collected."""
        # A list may have a text twice, where others wrote it than this product.
        keys = np.sort(np.array(self.keys, np.int64))
        return _postings(
            keys[np.diff(keys, prepend=-1) > 0],
            np.array(self.number_rows, np.int32),
            np.array(self.numbers, np.float64),
        )


def merged(parts: Sequence[tuple[Postings, Rows]]) -> Postings | None:
    """The postings of several segments in one; None if nothing is left.

    With each are the rows that its rows become, -1 where a row goes.
    """
    keys = np.concatenate([_moved(postings, becomes) for postings, becomes in parts])
    keys.sort()
    number_rows = np.concatenate([becomes[postings.number_rows] for postings, becomes in parts])
    numbers = np.concatenate([postings.numbers for postings, _ in parts])
    order = np.argsort(number_rows, kind="stable")
    order = order[np.searchsorted(number_rows[order], 0) :]
    if not len(keys) and not len(order):
        return None
    return _postings(keys, number_rows[order], numbers[order])


def _moved(postings: Postings, becomes: Rows) -> NDArray[np.int64]:
    rows = becomes[postings.rows].astype(np.int64)
    codes = np.repeat(postings.codes, np.diff(postings.offsets)).astype(np.int64)
    stays = rows >= 0
    return (codes[stays] << _ROW_BITS) | rows[stays]


def _postings(keys: NDArray[np.int64], number_rows: Rows, numbers: NDArray[np.float64]) -> Postings:
    """The postings of sorted keys."""
    codes = (keys >> _ROW_BITS).astype(np.int32)
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    return Postings(
        codes[starts],
        np.append(starts, len(keys)).astype(np.int32),
        (keys & _ROW_MASK).astype(np.int32),
        number_rows,
        numbers,
    )
