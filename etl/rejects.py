"""What a feed's rows can be refused for, kept so that nothing is lost silently."""

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

# Ids come from the feed and may be anything; a report needs enough of one to find the row.
MAX_ID = 80


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that was not taken in.

    `row` counts the rows of `file` from its header, which is row 1. `id` is as the feed spells it,
    shortened, and empty where the row could not be read. `field` is empty when the row as a whole
    is at fault.
    """

    file: str
    row: int
    id: str
    field: str
    reason: str


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


def shorten(raw_id: str) -> str:
    """An id as a reject carries it."""
    return raw_id.strip()[:MAX_ID]


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """Write rejects as CSV with a header, replacing what an earlier run wrote."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(Reject))
        writer.writerows(map(astuple, rejects))
