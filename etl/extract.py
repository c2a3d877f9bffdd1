"""Read a feed's tables from a folder, exactly as they are written.

The dialect is CSV in UTF-8 in which only a line feed ends a line: a bare carriage return is a line
break inside a field. pandas' reader can be told so, but fills up rows that are too short, after
which they can't be told from whole ones; the standard library's counts fields, but takes a carriage
return for the end of a row. So carriage returns are handed on as U+2028 LINE SEPARATOR, which is
what they mean, and the rows become a frame afterwards.
"""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from etl.rejects import Reject
from models.errors import InvalidFeed

PRODUCTS_FILE = "Products.csv"
IMAGES_FILE = "Images.csv"
PHOTO_FOLDER = "images"

PRODUCT_COLUMNS = (
    "id",
    "product_name",
    "category",
    "product_description",
    "price",
    "location",
)
IMAGE_COLUMNS = ("id", "product_id")

LINE_BREAK = "\u2028"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the feed. `frame` is indexed by row number, counted from the header as row 1.

    `rows` is how many rows the file has; blank lines are none.
    """

    frame: pd.DataFrame
    rejects: list[Reject]
    rows: int


@dataclass(frozen=True, slots=True)
class RawFeed:
    """A feed as it was written: text in every cell."""

    products: Table
    images: Table
    photo_folder: Path


def extract(folder: Path) -> RawFeed:
    """Read both tables of the feed in this folder. Raises InvalidFeed."""
    if not folder.is_dir():
        raise InvalidFeed(f"There is no folder {folder}.")
    return RawFeed(
        products=read_table(folder / PRODUCTS_FILE, PRODUCT_COLUMNS),
        images=read_table(folder / IMAGES_FILE, IMAGE_COLUMNS),
        photo_folder=folder / PHOTO_FOLDER,
    )


def read_table(path: Path, columns: Sequence[str]) -> Table:
    """Read these columns of a table, and no others. Raises InvalidFeed.

    A row that is no CSV, or has more or fewer fields than the header, is rejected by itself: an
    unclosed quote does not take the lines after it along.
    """
    try:
        with path.open("rb") as file:
            return _parse(file, path.name, columns)
    except FileNotFoundError as error:
        raise InvalidFeed(f"{path} is missing.") from error
    except OSError as error:
        raise InvalidFeed(f"{path} can't be read.") from error


class _Lines(Iterator[str]):
    """Decoded lines of a file; those that a broken row took beyond its first can be given back."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._number = 0
        self._returned: deque[str] = deque()
        self._taken: list[str] = []

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else self._decode(next(self._file))
        self._taken.append(line)
        return line

    def begin_row(self) -> None:
        """The lines taken so far are done with."""
        self._taken.clear()

    def give_back(self) -> None:
        """All lines of the current row but its first will be taken again."""
        self._returned.extendleft(reversed(self._taken[1:]))

    def _decode(self, line: bytes) -> str:
        self._number += 1
        try:
            text = line.decode("utf-8-sig" if self._number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InvalidFeed(
                f"{self._name} is not UTF-8: its line {self._number} can't be decoded."
            ) from error
        return text.replace("\r", LINE_BREAK)


def _parse(file: BinaryIO, name: str, columns: Sequence[str]) -> Table:
    lines = _Lines(file, name)
    reader = csv.reader(lines, strict=True)
    header = _read_header(reader, name, columns)
    positions = [header.index(column) for column in columns]
    rows: dict[int, list[str]] = {}
    rejects: list[Reject] = []
    count = 0
    for number, fields in enumerate(_rows(reader, lines, len(header)), start=2):
        match fields:
            case None:
                continue
            case str(reason):
                rejects.append(Reject(name, number, "", "", reason))
            case _:
                rows[number] = [fields[position] for position in positions]
        count += 1
    frame = pd.DataFrame(
        list(rows.values()), columns=list(columns), index=pd.Index(rows, name="row"), dtype=object
    )
    return Table(frame, rejects, count)


def _read_header(reader: Iterator[list[str]], name: str, columns: Sequence[str]) -> list[str]:
    try:
        header = [field.strip() for field in next(reader, [])]
    except csv.Error as error:
        raise InvalidFeed(f"{name} does not begin with a CSV header: {error}.") from error
    missing = [column for column in columns if column not in header]
    if missing:
        raise InvalidFeed(f"{name} lacks the columns {', '.join(missing)}.")
    return header


def _rows(
    reader: Iterator[list[str]], lines: _Lines, width: int
) -> Iterator[list[str] | str | None]:
    """The fields of each row, the reason why it has none, or None for a blank line."""
    while True:
        lines.begin_row()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lines.give_back()
            yield f"is not valid CSV: {error}"
            continue
        if len(fields) == width:
            yield fields
        elif len(fields) < 2 and not "".join(fields).strip():  # noqa: PLR2004 - a lone field
            yield None
        else:
            lines.give_back()
            yield f"its field count is {len(fields)}, the header's is {width}"
