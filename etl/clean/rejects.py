"""The rejected rows of a feed, with reasons."""

import csv
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter
from pathlib import Path
from typing import Self

from models.domain.durable_files import part_path
from models.domain.limits import MAX_EXTERNAL_ID

# Ids come from the feed and may be anything; a report needs enough of one to find the row.
MAX_ID = MAX_EXTERNAL_ID


class Consequence(StrEnum):
    """What became of a row with a fault: `left out` is only the field's value."""

    REJECTED = "rejected"
    LEFT_OUT = "left out"
    NOT_OFFERED = "not offered"
    """The shop does not offer what is in the row: it is no fault, and is not listed."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A rejected row, or a value that was left out.

    `row` counts the rows of `file` from its header, which is row 1. `id` is as the feed spells it,
    shortened, and empty where the row could not be read. `field` is empty when the row as a whole
    is at fault.
    """

    file: str
    row: int
    id: str
    field: str
    reason: str
    consequence: Consequence = Consequence.REJECTED

    @property
    def kind(self) -> str:
        """The reason without the lines or files it is about, which differ from row to row."""
        return self.reason.partition(" (line")[0].partition(" (file")[0]


_COLUMNS = [field.name for field in fields(Reject)]
_ROW = attrgetter(*_COLUMNS)


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows read from one file, all of which were either accepted or rejected."""

    read: int
    accepted: int
    rejected: int

    def __post_init__(self) -> None:
        if self.read != self.accepted + self.rejected:
            raise ValueError(
                f"{self.read} rows were read, but {self.accepted} accepted "
                f"and {self.rejected} rejected"
            )


class Rejects:
    """Writes rejects to a CSV file and counts them by reason, in bounded memory.

    `reasons` are of rejected rows, `not_offered` of those that the shop does not offer, `left_out`
    of values without which their rows are taken in.
    A context manager. `finish` gives the file its name, replacing an earlier one; without a path
    rejects are only counted.
    """

    def __init__(self, path: Path | None) -> None:
        self.reasons: Counter[tuple[str, str, str]] = Counter()
        self.left_out: Counter[tuple[str, str, str]] = Counter()
        self.not_offered: Counter[tuple[str, str, str]] = Counter()
        self._counters = {
            Consequence.REJECTED: self.reasons,
            Consequence.LEFT_OUT: self.left_out,
            Consequence.NOT_OFFERED: self.not_offered,
        }
        self._path = path
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self._path is None:
            return self
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._stack.enter_context(
            part_path(self._path).open("w", encoding="utf-8", newline="")
        )
        self._writer = csv.writer(file)
        self._writer.writerow(_COLUMNS)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        if self._path is not None:
            part_path(self._path).unlink(missing_ok=True)

    def finish(self) -> None:
        """Complete the file and give it its name."""
        self._stack.close()
        if self._path is not None:
            part_path(self._path).replace(self._path)

    def add(self, rejects: Iterable[Reject]) -> None:
        """Write and count rejects."""
        rejects = list(rejects)
        for reject in rejects:
            self._counters[reject.consequence][reject.file, reject.field, reject.kind] += 1
        if self._path is not None:
            self._writer.writerows(map(_ROW, rejects))

    def count(self, file: str) -> int:
        """How many rows of a file were not taken in."""
        rows = self.reasons + self.not_offered
        return sum(count for (name, _, _), count in rows.items() if name == file)


def shorten(raw_id: str) -> str:
    """An id shortened for a reject."""
    return raw_id.strip()[:MAX_ID]
