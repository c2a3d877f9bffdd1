"""A feed's two tables, read in chunks of rows, every cell as unchanged text."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO, TypeAlias

import pandas as pd

from db.statements import chunks
from etl.clean.column_names import folded, nearest
from etl.clean.delimiters import DELIMITERS, detect_layout
from etl.clean.records import (
    LINE_BREAK,
    Layout,
    Record,
    begins_record,
    detect_encoding,
    is_decoded,
    open_text,
    read_header,
    read_records,
)
from etl.clean.rejects import Reject, shorten
from etl.tables.attributes import NONE, AttributeColumns, choose, to_cell
from models.domain.errors import InvalidFeed

_Row: TypeAlias = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table, by the name of its file. Optional columns map to other names they may have.

    Every table has the required column `id`; names are matched in any case, spaces, hyphens and
    underscores alike. `others` are names of required columns that count where theirs is missing.
    """

    name: str
    required: Sequence[str]
    optional: Mapping[str, Sequence[str]] = field(default_factory=dict)
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)
    made: Sequence[str] = ()
    """Columns of its frames that are made of several of the file's."""

    @property
    def columns(self) -> list[str]:
        """The names of all columns, the required ones first."""
        return [*self.required, *self.optional]

    @property
    def frame_columns(self) -> list[str]:
        """The names of the columns of its frames."""
        return [*self.columns, *self.made]


ATTRIBUTES = "attributes"
"""The column of a product's attributes, see `etl.tables.attributes`."""

PRODUCTS = TableSpec(
    "Products.csv",
    ("id", "product_name", "category", "product_description", "price", "location"),
    {"latitude": ("lat",), "longitude": ("lon", "lng", "long"), "seller": ("seller_id",)},
    {"product_name": ("title", "name"), "product_description": ("description",)},
    made=(ATTRIBUTES,),
)
SHOP_COLUMNS = (*PRODUCTS.frame_columns, "status")
"""Of the frames that `etl.tables` makes of shops' tables."""

PAIRED = "\x1f"
"""Between a price and the currency that another column states."""

IMAGES = TableSpec(
    "Images.csv", ("id", "product_id"), others={"product_id": ("listing_id", "product")}
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of a table.

    `frame` has exactly the columns of the table's spec, as text, empty where an optional one is not
    in the file; its index is the row's number, counted from the header as 1. `rows` is how many
    were read, all of which are in `frame` or in `rejects`. Blank lines have a number, but are no
    rows. `position` is how many bytes of the file have been read. Where the table names photos,
    `photos` has those of each row of `frame`, in order; `left_out` are values without which rows
    are in `frame`.
    """

    frame: pd.DataFrame
    rejects: list[Reject]
    rows: int
    position: int
    photos: Mapping[int, Sequence[str]] = field(default_factory=dict)
    left_out: list[Reject] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose header has been read.

    `size` is in bytes; `header` has the names of all columns, `positions` says where those of the
    spec's are, `attributes` which of the others become attributes.
    """

    path: Path
    spec: TableSpec
    size: int
    encoding: str
    layout: Layout
    header: list[str]
    positions: Mapping[str, int]
    attributes: AttributeColumns = NONE

    @property
    def ignored(self) -> list[str]:
        """The columns that have a name, but state nothing."""
        used = {*self.positions.values(), *self.attributes.positions}
        return [name for at, name in enumerate(self.header) if name and at not in used]

    def with_attributes(self, wanted: Sequence[str] | None) -> "Table":
        """The table with these columns as attributes, or the usual ones. Raises InvalidFeed."""
        chosen = choose(self.header, self.positions.values(), wanted)
        return replace(self, attributes=chosen)

    def meant(self) -> dict[str, str]:
        """Of the ignored columns those that may be meant for one that the file lacks."""
        lacking = [name for name in self.spec.columns if name not in self.positions]
        near = {column: nearest(folded(column), lacking) for column in self.ignored}
        return {column: name for column, name in near.items() if name is not None}

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """The table in chunks of this many rows, the last of which may have fewer.

        A row that is no CSV, has more or fewer fields than the header, or bytes that are not of the
        table's encoding, is rejected by itself. Raises InvalidFeed when the file can't be read.
        """
        with readable(self.path), open_text(self.path, self.encoding) as file:
            records = read_records(file, len(self.header), self.positions["id"], self.layout)
            for batch in chunks(self._rows(records), rows):
                yield Chunk(
                    self._frame([row for row in batch if not isinstance(row, Reject)]),
                    [row for row in batch if isinstance(row, Reject)],
                    len(batch),
                    file.buffer.tell(),
                )

    def _rows(self, records: Iterator[Record]) -> Iterator[_Row | Reject]:
        positions = list(self.positions.values())
        attributes = list(self.attributes.positions)
        for number, record in enumerate(records, start=2):
            if record.fault:
                yield self._reject(number, record, "", record.fault)
            elif record.fields:
                cells = [record.fields[position] for position in positions]
                stated = "".join(record.fields[position] for position in attributes)
                if is_decoded("".join(cells) + stated):
                    if self.spec.made:
                        cells.append(to_cell(self.attributes.of(record.fields)))
                    yield number, cells
                else:
                    damaged = [*map(is_decoded, cells), False]
                    column = [*self.positions, ATTRIBUTES][damaged.index(False)]
                    reason = f"is not {self.encoding.upper()}"
                    yield self._reject(number, record, column, reason)

    def _reject(self, number: int, record: Record, column: str, reason: str) -> Reject:
        position = self.positions["id"]
        row_id = record.fields[position] if begins_record(record.fields, position) else ""
        return Reject(self.spec.name, number, shorten(row_id), column, f"{reason} ({record.place})")

    def _frame(self, rows: Sequence[_Row]) -> pd.DataFrame:
        frame = pd.DataFrame(
            [cells for _, cells in rows],
            index=pd.Index([number for number, _ in rows], dtype="int64", name="row"),
            columns=[*self.positions, *self.spec.made],
            dtype=object,
        )
        return frame.reindex(columns=self.spec.frame_columns, fill_value="").astype(object)


def open_table(path: Path, spec: TableSpec) -> Table:
    """Open the table in a file, whose name is the spec's, and read its header.

    Raises InvalidFeed when the file is missing, empty or no such table.
    """
    with readable(path):
        size = path.stat().st_size
        encoding = detect_encoding(path)
        names = {folded(name) for name in spec.columns}
        layout = detect_layout(path, encoding, lambda name: folded(name) in names)
        with open_text(path, encoding) as file:
            header = read_names(file, path.name, layout)
    positions = _positions(header, spec, layout)
    return Table(
        path=path,
        spec=spec,
        size=size,
        encoding=encoding,
        layout=layout,
        header=header,
        positions=positions,
    )


def read_names(file: TextIO, name: str, layout: Layout) -> list[str]:
    """The names of a table's columns, as they are written. Raises InvalidFeed."""
    try:
        header = read_header(file, layout)
    except csv.Error as error:
        raise InvalidFeed(f"{name} does not begin with a CSV header: {error}.") from error
    if not header:
        raise InvalidFeed(f"{name} is empty.")
    if any(LINE_BREAK in column for column in header):
        raise InvalidFeed(f"{name} has no lines: only a line feed ends one.")
    return [column.encode(errors="replace").decode().strip() for column in header]


def _positions(header: Sequence[str], spec: TableSpec, layout: Layout) -> dict[str, int]:
    """Where the spec's columns are in the header. Raises InvalidFeed."""
    names = {folded(name): name for name in spec.columns}
    names |= {other: name for name, others in spec.optional.items() for other in others}
    positions: dict[str, int] = {}
    for position, written in enumerate(header):
        name = names.get(folded(written))
        if name in positions:
            raise InvalidFeed(f"{spec.name} has the column {name} twice.")
        if name:
            positions[name] = position
    written_as = {folded(written): position for position, written in enumerate(header)}
    for name, others in spec.others.items():
        found = [written_as[other] for other in others if other in written_as]
        if found and name not in positions:
            positions[name] = found[0]
    missing = [name for name in spec.required if name not in positions]
    if missing:
        seen = f" Its fields are parted by {DELIMITERS[layout.delimiter]}."
        meant = (
            f" Is {written} meant as {near}?"
            for written in header
            if (near := nearest(folded(written), missing)) and folded(written) not in names
        )
        raise InvalidFeed(
            f"{spec.name} lacks the columns {', '.join(missing)}.{seen}{''.join(meant):.300}"
        )
    return positions


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raises InvalidFeed for a file that can't be read."""
    try:
        yield
    except FileNotFoundError as error:
        raise InvalidFeed(f"{path} is missing.") from error
    except OSError as error:
        raise InvalidFeed(f"{path} can't be read.") from error
