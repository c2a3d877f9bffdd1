"""Writes the two tables of a feed in the source's dialect.

An unnamed first column counts the rows, `\\n` is the only line end, a field is quoted only when it
holds a comma, a quote or a `\\n`, and a bare `\\r` stays in its field as it is.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

PRODUCT_COLUMNS = (
    "id", "product_name", "category", "product_description", "price", "location", "latitude",
    "longitude", "seller", "condition", "colour",
)  # fmt: skip
IMAGE_COLUMNS = ("id", "product_id")


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Writes one table, UTF-8, with its header and its counting column."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(_line(("", *columns)))
        for number, row in enumerate(rows):
            file.write(_line((str(number), *row)))


def _line(fields: Iterable[str]) -> str:
    return ",".join(map(_field, fields)) + "\n"


def _field(text: str) -> str:
    # csv.writer would do, but newer Pythons quote a bare \r too, and the dialect does not.
    if not any(mark in text for mark in ',"\n'):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
