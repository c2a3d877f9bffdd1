"""A feed's table from its file to clean rows, as the intake brings it there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from etl.clean.feed_tables import IMAGES, PRODUCTS, TableSpec, open_table
from etl.clean.rejects import Reject
from etl.clean.transform import Cleaned, clean_images, clean_products, without_repeats

_CLEAN: dict[str, Callable[[pd.DataFrame], Cleaned]] = {
    PRODUCTS.name: clean_products,
    IMAGES.name: clean_images,
}


@dataclass(frozen=True)
class CleanTable:
    """What became of a table's rows; `rejects` and what was `left_out` are in their order."""

    frame: pd.DataFrame
    rejects: list[Reject]
    rows: int
    left_out: list[Reject]


def clean_table(path: Path, spec: TableSpec = PRODUCTS, chunk: int = 1_000) -> CleanTable:
    """Read and clean a table in chunks of this many rows. Raises InvalidFeed."""
    frames = [_CLEAN[spec.name](pd.DataFrame(columns=spec.frame_columns, index=_NO_ROWS)).frame]
    rejects: list[Reject] = []
    left_out: list[Reject] = []
    rows = 0
    known: set[str] = set()
    for part in open_table(path, spec).chunks(chunk):
        cleaned = without_repeats(_CLEAN[spec.name](part.frame), known, spec.name)
        known |= set(cleaned.frame["id"])
        frames.append(cleaned.frame)
        rejects += part.rejects + cleaned.rejects
        left_out += cleaned.left_out
        rows += part.rows
    rejects.sort(key=lambda reject: reject.row)
    return CleanTable(pd.concat(frames), rejects, rows, left_out)


_NO_ROWS = pd.Index([], dtype="int64", name="row")
